// SPDX-License-Identifier: BSD-3-Clause
//
// The interface between subscribers and programs of this host (docs/decisions/0022): a TUN that the
// supervisor makes and the dataplane reads and writes. It carries the addresses of the gateways of
// the pools, and the kernel's way back leads there:
//   17232  oif INTERFACE                        the table of services
//   17233  of this host, from TCP port 1723     main; only where the access port has no twin
//   17234  of this host                         the table of services
// That table has the prefixes of the pools, and the fixed addresses that sessions have outside
// them. The table of the core port has them too: rules from its addresses stand before these.
// An outer address may be an inner one, so answers on TCP 1723 must not come here.
//
// The routes carry protocol 172 and go with the interface, which goes with the supervisor.
// Supervisor thread only. Errors are one line, ready to print.
#pragma once

#include <cstdint>
#include <expected>
#include <set>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/config/config.hpp"

namespace pns::supervisor {

// Routes of sessions, and of pools that are in the configuration no more.
enum class OldRoutes : std::uint8_t {
  kRemove,  // a dataplane starts, which asks for those of its sessions again
  kKeep,
};

// MTU, up, addresses, routes, rules. May be repeated.
[[nodiscard]] std::expected<void, std::string> configure_services(const config::Config& config,
                                                                  OldRoutes old_routes);

// The way back to an address, or a /64, outside the pools. May be repeated.
[[nodiscard]] std::expected<void, std::string> add_subscriber_route(const config::Port& core,
                                                                    const Ipv4Prefix& subscriber);
[[nodiscard]] std::expected<void, std::string> add_subscriber_route(const config::Port& core,
                                                                    const Ipv6Prefix& subscriber);
void remove_subscriber_route(const config::Port& core, const Ipv4Prefix& subscriber) noexcept;
void remove_subscriber_route(const config::Port& core, const Ipv6Prefix& subscriber) noexcept;

// IPv4 next hops of the kernel's routes out of an interface; "" stands for any.
[[nodiscard]] std::set<Ipv4Address> next_hops_of(const std::string& interface);

// Octets of IP that the kernel puts into one packet to a subscriber.
[[nodiscard]] std::uint32_t services_mtu(const config::Config& config) noexcept;

}  // namespace pns::supervisor
