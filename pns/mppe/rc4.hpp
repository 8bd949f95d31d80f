// SPDX-License-Identifier: BSD-3-Clause
//
// RC4, the plain reference: one stream, one octet at a time. The burst engine of the dataplane is
// checked against it. Broken as a cipher (RFC 7465); here because MPPE is made of it. Any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "pns/base/bytes.hpp"

namespace pns::mppe {

// Encrypts or decrypts `data` in place with the table `s`, which moves on with i and j.
inline void rc4_apply(std::array<std::uint8_t, 256>& s, std::uint8_t& i, std::uint8_t& j,
                      MutableBytes data) noexcept {
  std::uint32_t a = i;
  std::uint32_t b = j;
  const auto step = [&s, &a, &b]() noexcept {
    a = (a + 1) & 0xff;
    const std::uint32_t x = s[a];
    b = (b + x) & 0xff;
    const std::uint32_t y = s[b];
    s[a] = static_cast<std::uint8_t>(y);
    s[b] = static_cast<std::uint8_t>(x);
    return s[(x + y) & 0xff];
  };
  // Eight steps before an access to the data: of octets the compiler must think that they may lie
  // in the table.
  std::size_t n = 0;
  for (; n + 8 <= data.size(); n += 8) {
    std::uint64_t stream = 0;
#pragma GCC unroll 8
    for (unsigned at = 0; at < 64; at += 8) stream |= std::uint64_t{step()} << at;
    std::uint64_t eight;
    std::memcpy(&eight, data.data() + n, 8);
    eight ^= stream;
    std::memcpy(data.data() + n, &eight, 8);
  }
  for (; n < data.size(); ++n) data[n] ^= static_cast<std::byte>(step());
  i = static_cast<std::uint8_t>(a);
  j = static_cast<std::uint8_t>(b);
}

// Takes `octets` steps back.
inline void rc4_step_back(std::array<std::uint8_t, 256>& s, std::uint8_t& i, std::uint8_t& j,
                          std::size_t octets) noexcept {
  for (std::size_t n = 0; n < octets; ++n) {
    std::swap(s[i], s[j]);
    j = static_cast<std::uint8_t>(j - s[i]);
    --i;
  }
}

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
  void apply(MutableBytes data) noexcept { rc4_apply(s, i, j, data); }
};

}  // namespace pns::mppe
