// SPDX-License-Identifier: BSD-3-Clause
//
// RC4 for several independent streams in plain C++: what a CPU without AVX2 gets. Four streams keep
// a compiler's registers busy; with more they spill.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

inline constexpr unsigned kPortableLanes = 4;
inline constexpr unsigned kPortableRunningLanes = 2;

// One step of one stream each; what is indexed by lane must be a constant index, or it is not kept
// in registers.
struct PortableStream {
  std::uint8_t* table;
  std::uint32_t j;

  [[gnu::always_inline]] void key_step(unsigned n, unsigned key) noexcept {
    const std::uint32_t x = table[n];
    j = (j + x + key) & 0xff;
    table[n] = table[j];
    table[j] = static_cast<std::uint8_t>(x);
  }
  [[gnu::always_inline]] std::byte step(std::uint32_t i) noexcept {
    const std::uint32_t x = table[i];
    j = (j + x) & 0xff;
    const std::uint32_t y = table[j];
    table[i] = static_cast<std::uint8_t>(y);
    table[j] = static_cast<std::uint8_t>(x);
    return static_cast<std::byte>(table[(x + y) & 0xff]);
  }
};

template <std::size_t... kLane>
void set_keys_portable(std::uint8_t* tables, const std::byte* keys,
                       std::index_sequence<kLane...>) noexcept {
  for (unsigned n = 0; n < 256; ++n)
    ((tables[256 * kLane + n] = static_cast<std::uint8_t>(n)), ...);
  PortableStream streams[] = {{tables + 256 * kLane, 0}...};
  const auto* key = reinterpret_cast<const std::uint8_t*>(keys);
  for (unsigned n = 0; n < 256; ++n) (streams[kLane].key_step(n, key[16 * kLane + (n & 15)]), ...);
}

template <std::size_t... kLane>
void change_keys_portable(std::uint8_t* tables, std::byte* keys,
                          std::index_sequence<kLane...> each) noexcept {
  set_keys_portable(tables, keys, each);
  PortableStream streams[] = {{tables + 256 * kLane, 0}...};
  for (unsigned n = 0; n < 16; ++n) ((keys[16 * kLane + n] ^= streams[kLane].step(n + 1)), ...);
}

// Streams that began together.
template <std::size_t... kLane>
void generate_portable(std::uint8_t* tables, std::uint8_t* j, std::byte* out, std::size_t octets,
                       std::size_t at, std::index_sequence<kLane...>) noexcept {
  PortableStream streams[] = {{tables + 256 * kLane, j[kLane]}...};
  auto i = static_cast<std::uint32_t>(at);
  for (std::size_t n = 0; n < octets; ++n) {
    i = (i + 1) & 0xff;
    ((out[kStreamStride * kLane + n] = streams[kLane].step(i)), ...);
  }
  ((j[kLane] = static_cast<std::uint8_t>(streams[kLane].j)), ...);
}

// Streams with an i each.
template <std::size_t... kLane>
void go_on_portable(std::uint8_t* tables, RunningIndices& indices, std::byte* out,
                    std::size_t octets, std::index_sequence<kLane...>) noexcept {
  PortableStream streams[] = {{tables + 256 * kLane, indices.j[kLane]}...};
  std::uint32_t i[] = {indices.i[kLane]...};
  for (std::size_t n = 0; n < octets; ++n)
    ((i[kLane] = (i[kLane] + 1) & 0xff,
      out[kStreamStride * kLane + n] = streams[kLane].step(i[kLane])),
     ...);
  ((indices.i[kLane] = static_cast<std::uint8_t>(i[kLane]),
    indices.j[kLane] = static_cast<std::uint8_t>(streams[kLane].j)),
   ...);
}

}  // namespace
}  // namespace pns::dataplane
