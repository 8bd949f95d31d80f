// SPDX-License-Identifier: BSD-3-Clause
//
// Octet strings for tests, written as hex with spaces where they help.
#pragma once

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "pns/base/bytes.hpp"

namespace pns::test {

using Octets = std::vector<std::byte>;

inline Octets octets(std::string_view hex) {
  Octets out;
  int high = -1;
  for (const char c : hex) {
    if (std::isxdigit(static_cast<unsigned char>(c)) == 0) continue;
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (high < 0) {
      high = digit;
    } else {
      out.push_back(static_cast<std::byte>(high * 16 + digit));
      high = -1;
    }
  }
  return out;
}

inline Octets to_octets(Bytes data) { return {data.begin(), data.end()}; }

inline Octets concat(std::initializer_list<Bytes> parts) {
  Octets out;
  for (const Bytes part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

inline std::string hex(Bytes data) {
  std::string out;
  char two[3];
  for (const std::byte b : data) {
    std::snprintf(two, sizeof(two), "%02x", std::to_integer<unsigned>(b));
    out += two;
  }
  return out;
}

}  // namespace pns::test
