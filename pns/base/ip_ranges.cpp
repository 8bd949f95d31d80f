// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/ip_ranges.hpp"

#include <bit>

namespace pns {

std::vector<Ipv4Prefix> prefixes_of(const Ipv4Range& range) {
  std::vector<Ipv4Prefix> prefixes;
  std::uint64_t at = range.first.value;
  const std::uint64_t last = range.last.value;
  while (at <= last) {
    // The longest run of addresses that starts here, is aligned and does not pass the end.
    std::uint8_t bits = 0;
    while (bits < 32 && (at & ((std::uint64_t{2} << bits) - 1)) == 0 &&
           at + (std::uint64_t{2} << bits) - 1 <= last)
      ++bits;
    prefixes.push_back(
        {Ipv4Address(static_cast<std::uint32_t>(at)), static_cast<std::uint8_t>(32 - bits)});
    at += std::uint64_t{1} << bits;
  }
  return prefixes;
}

Ipv4Prefix prefix_around(const Ipv4Range& range) noexcept {
  const auto length =
      static_cast<std::uint8_t>(std::countl_zero(range.first.value ^ range.last.value));
  return {Ipv4Prefix{range.first, length}.network(), length};
}

}  // namespace pns
