// SPDX-License-Identifier: BSD-3-Clause
//
// RC4, the plain reference: one stream, one octet at a time. The burst engine of the dataplane is
// checked against it. Broken as a cipher (RFC 7465); here because MPPE is made of it. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "pns/base/bytes.hpp"

namespace pns::mppe {

struct Rc4 {
  std::array<std::uint8_t, 256> s;
  std::uint8_t i = 0;
  std::uint8_t j = 0;

  // Key set-up; the key has 1 to 256 octets.
  void set_key(Bytes key) noexcept {
    for (unsigned n = 0; n < 256; ++n) s[n] = static_cast<std::uint8_t>(n);
    std::uint8_t swap = 0;
    std::size_t at = 0;
    for (unsigned n = 0; n < 256; ++n) {
      swap = static_cast<std::uint8_t>(swap + s[n] + std::to_integer<std::uint8_t>(key[at]));
      std::swap(s[n], s[swap]);
      if (++at == key.size()) at = 0;
    }
    i = 0;
    j = 0;
  }

  // Encrypts or decrypts in place and moves on.
  void apply(MutableBytes data) noexcept {
    std::uint8_t a = i;
    std::uint8_t b = j;
    for (std::byte& octet : data) {
      const std::uint8_t x = s[++a];
      b = static_cast<std::uint8_t>(b + x);
      const std::uint8_t y = s[b];
      s[a] = y;
      s[b] = x;
      octet ^= static_cast<std::byte>(s[static_cast<std::uint8_t>(x + y)]);
    }
    i = a;
    j = b;
  }
};

}  // namespace pns::mppe
