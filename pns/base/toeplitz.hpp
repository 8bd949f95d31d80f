// SPDX-License-Identifier: BSD-3-Clause
//
// The Toeplitz hash of receive-side scaling (Microsoft, "RSS Hashing Types" and "Verifying the RSS
// Hash Calculation"): what NICs choose a receive queue by. The control process predicts with it and
// has no DPDK, hence not rte_thash; a unit test of the dataplane holds both to the same results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pns {

// `data`: the fields of the header as they are on the wire. `key`: at least four octets longer than
// `data`.
[[nodiscard]] constexpr std::uint32_t toeplitz(std::span<const std::uint8_t> key,
                                               std::span<const std::uint8_t> data) noexcept {
  // The 32 bits of the key that begin at the bit of the data that is looked at.
  std::uint32_t window = 0;
  for (std::size_t i = 0; i < sizeof(window); ++i) window = window << 8 | key[i];
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < data.size(); ++i)
    for (int bit = 7; bit >= 0; --bit) {
      if ((data[i] >> bit & 1) != 0) hash ^= window;
      window = window << 1 | (key[i + sizeof(window)] >> bit & 1U);
    }
  return hash;
}

}  // namespace pns
