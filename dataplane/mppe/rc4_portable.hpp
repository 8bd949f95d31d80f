// SPDX-License-Identifier: BSD-3-Clause
//
// RC4 for several independent streams in plain C++: what a CPU without AVX2 gets. Four streams keep
// a compiler's registers busy; with more they spill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

inline constexpr unsigned kPortableLanes = 4;

template <unsigned kLanes>
void set_keys_portable(std::uint8_t* tables, const std::byte* keys) noexcept {
  const auto* key = reinterpret_cast<const std::uint8_t*>(keys);
  for (unsigned lane = 0; lane < kLanes; ++lane)
    for (unsigned n = 0; n < 256; ++n) tables[256 * lane + n] = static_cast<std::uint8_t>(n);
  std::uint8_t j[kLanes] = {};
  for (unsigned n = 0; n < 256; ++n)
#pragma GCC unroll 4
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      std::uint8_t* table = tables + 256 * lane;
      const std::uint8_t x = table[n];
      j[lane] = static_cast<std::uint8_t>(j[lane] + x + key[16 * lane + (n & 15)]);
      table[n] = table[j[lane]];
      table[j[lane]] = x;
    }
}

// `i` and `j`: one for each stream, moved on.
template <unsigned kLanes>
void stream_portable(std::uint8_t* tables, std::uint8_t* i_of, std::uint8_t* j_of, std::byte* out,
                     std::size_t octets) noexcept {
  std::uint8_t i[kLanes];
  std::uint8_t j[kLanes];
  std::memcpy(i, i_of, kLanes);
  std::memcpy(j, j_of, kLanes);
  for (std::size_t n = 0; n < octets; ++n)
#pragma GCC unroll 4
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      std::uint8_t* table = tables + 256 * lane;
      const std::uint8_t x = table[++i[lane]];
      j[lane] = static_cast<std::uint8_t>(j[lane] + x);
      const std::uint8_t y = table[j[lane]];
      table[i[lane]] = y;
      table[j[lane]] = x;
      out[kStreamStride * lane + n] =
          static_cast<std::byte>(table[static_cast<std::uint8_t>(x + y)]);
    }
  std::memcpy(i_of, i, kLanes);
  std::memcpy(j_of, j, kLanes);
}

}  // namespace
}  // namespace pns::dataplane
