// SPDX-License-Identifier: BSD-3-Clause
//
// A made-up Internet: hosts all over the unicast addresses, and a table of routes as a router of a
// provider has it. It is a default route and prefixes to several gateways, most of them /24. Hosts
// have no address that the server refuses, or that is its own or of its pools.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "pns/base/ip_address.hpp"

namespace pns::bench {

inline constexpr Ipv4Prefix kPools{Ipv4Address(0x0a000000), 8};            // 10.0.0.0/8
inline constexpr Ipv4Prefix kLocalAddresses{Ipv4Address(0xc6336400), 24};  // 198.51.100.0/24

class Internet {
 public:
  static constexpr unsigned kRoutes = 8'192;  // beside the default route
  static constexpr unsigned kGateways = 8;

  Internet();

  struct Route {
    Ipv4Prefix prefix;
    unsigned gateway;  // below kGateways
  };
  // The default route first; each prefix once.
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

  // A host for each number; hardly two have the same.
  [[nodiscard]] static Ipv4Address host_of(std::uint32_t n) noexcept;
  // Any host. Every fourth is one that a route leads to, not counting the default route.
  [[nodiscard]] Ipv4Address any_host(std::mt19937& random) const noexcept;

 private:
  std::vector<Route> routes_;
};

}  // namespace pns::bench
