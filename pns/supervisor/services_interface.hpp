// SPDX-License-Identifier: BSD-3-Clause
//
// The interface between subscribers and programs of this host (docs/decisions/0022): a TUN that the
// supervisor makes and the dataplane reads and writes. It carries the addresses of the gateways of
// the pools, and the kernel's way back leads there:
//   17230  of this host, from a core address    the table of services; where a twin has the address
//   17232  oif INTERFACE                        the table of services
//   17233  of this host, from TCP port 1723     main; only where the access port has no twin
//   17234  of this host                         the table of services
// That table has the prefixes of the pools, the fixed addresses that sessions have outside them,
// and the networks behind subscribers. The table of the core port has the first two too. A network
// leads out of the core port there, for routing daemons, so the first rule stands before that
// table. An outer address may be an inner one, so answers on TCP 1723 must not come here.
//
// The routes carry protocol 172 and go with the interface, which goes with the supervisor.
// Supervisor thread only. Errors are one line, ready to print.
#pragma once

#include <cstdint>
#include <expected>
#include <set>
#include <string>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/config/config.hpp"
#include "pns/supervisor/kernel_net.hpp"

namespace pns::supervisor {

// Addresses and routes of pools that are in the configuration no more, and routes of sessions.
enum class Old : std::uint8_t {
  kRemove,  // a dataplane starts, which asks for those of its sessions again
  kKeep,
};

// MTU, up, addresses, routes, rules. May be repeated. `had`: the addresses that this server has
// given the interface.
[[nodiscard]] std::expected<void, std::string> configure_services(const config::Config& config,
                                                                  Old old, OwnAddresses& had);
// Takes rules, addresses and routes away. The interface is there as long as a dataplane has it.
void switch_off_services(const config::Ports& ports, OwnAddresses& had) noexcept;

// The interface and the tables of the way back to subscribers. A kernel: port is itself the way
// back, in the main table.
[[nodiscard]] inline const std::string& interface_of_ways_back(const config::Port& core) noexcept {
  return core.leads_to_host() ? core.device.interface : core.services.interface;
}
[[nodiscard]] std::vector<std::uint32_t> tables_of_ways_back(const config::Port& core);
// The way back to addresses, or /64s, outside the pools. May be repeated.
[[nodiscard]] std::expected<void, std::string> add_way_back(const config::Port& core,
                                                            const Networks& subscriber);
void remove_way_back(const config::Port& core, const Networks& subscriber) noexcept;

// IPv4 next hops of the kernel's routes out of an interface; "" stands for any.
[[nodiscard]] std::set<Ipv4Address> next_hops_of(const std::string& interface);

// Octets of IP that the kernel puts into one packet to a subscriber.
[[nodiscard]] std::uint32_t services_mtu(const config::Config& config) noexcept;

}  // namespace pns::supervisor
