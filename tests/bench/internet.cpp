// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/internet.hpp"

#include <set>
#include <utility>

#include "pns/wire/ipv4.hpp"

namespace pns::bench {
namespace {

// Routes of the Internet by length, of a thousand; about as BGP has them in 2025, and some longer
// ones of a provider's own.
constexpr std::array<std::pair<std::uint8_t, unsigned>, 16> kLengths{{{12, 2},
                                                                      {13, 3},
                                                                      {14, 5},
                                                                      {15, 5},
                                                                      {16, 15},
                                                                      {17, 10},
                                                                      {18, 15},
                                                                      {19, 25},
                                                                      {20, 45},
                                                                      {21, 50},
                                                                      {22, 110},
                                                                      {23, 95},
                                                                      {24, 570},
                                                                      {28, 20},
                                                                      {30, 15},
                                                                      {32, 15}}};

std::uint8_t any_length(std::mt19937& random) {
  auto left = static_cast<unsigned>(random() % 1'000);
  for (const auto& [length, share] : kLengths) {
    if (left < share) return length;
    left -= share;
  }
  return 24;
}

bool is_host(Ipv4Address address) noexcept {
  return !wire::is_unforwardable(address) && !kPools.contains(address) &&
         !kLocalAddresses.contains(address);
}

// Murmur3's last step: every bit of the number moves every bit of the result.
constexpr std::uint32_t mix(std::uint32_t n) noexcept {
  n = (n ^ n >> 16) * 0x85ebca6b;
  n = (n ^ n >> 13) * 0xc2b2ae35;
  return n ^ n >> 16;
}

}  // namespace

Internet::Internet() {
  routes_.push_back({{Ipv4Address(0), 0}, 0});
  std::mt19937 random(2'637);
  std::set<std::pair<std::uint32_t, std::uint8_t>> seen;
  while (routes_.size() <= kRoutes) {
    const Ipv4Address address(static_cast<std::uint32_t>(random()));
    const Ipv4Prefix whole{address, any_length(random)};
    const Ipv4Prefix prefix{whole.network(), whole.length};
    if (!is_host(address) || !seen.emplace(prefix.address.value, prefix.length).second) continue;
    routes_.push_back({prefix, static_cast<unsigned>(random() % kGateways)});
  }
}

Ipv4Address Internet::host_of(std::uint32_t n) noexcept {
  for (Ipv4Address address(mix(n + 1));; address = Ipv4Address(mix(address.value + 1)))
    if (is_host(address)) return address;
}

Ipv4Address Internet::any_host(std::mt19937& random) const noexcept {
  for (;;) {
    auto any = static_cast<std::uint32_t>(random());
    if (random() % 4 == 0) {
      const Ipv4Prefix& prefix = routes_[1 + random() % kRoutes].prefix;
      any = prefix.address.value | (any & ~prefix.mask());
    }
    if (is_host(Ipv4Address(any))) return Ipv4Address(any);
  }
}

}  // namespace pns::bench
