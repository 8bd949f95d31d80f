// SPDX-License-Identifier: BSD-3-Clause
//
// The supervisor's requests to the kernel's network: TAPs, a twin's MAC, addresses and routes,
// listening sockets. Everything acts in this process's network namespace. Nothing here reads a
// packet. Supervisor thread only. Errors are one line, ready to print.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/netlink/tcp_address.hpp"

namespace pns::supervisor {

// A TAP without packet information header, non-blocking; it lives as long as a descriptor of it
// does. Takes over a persistent TAP of that name; refuses one that is in use.
[[nodiscard]] std::expected<UniqueFd, std::string> open_tap(const std::string& name);

// The same for packets of IP, without Ethernet headers.
[[nodiscard]] std::expected<UniqueFd, std::string> open_tun(const std::string& name);

// Addresses that this server has given an interface. Others may give it more.
struct OwnAddresses {
  std::set<Ipv4Prefix> ipv4{};
  std::set<Ipv6Prefix> ipv6{};
  friend bool operator==(const OwnAddresses&, const OwnAddresses&) = default;
};

// Gives an interface the wanted addresses in place of `had`, which is them afterwards. Addresses of
// others stay.
[[nodiscard]] std::expected<void, std::string> replace_addresses(const std::string& interface,
                                                                 OwnAddresses& had,
                                                                 const OwnAddresses& wanted);

// Routes without a gateway out of an interface, of kRuleProtocol. A route to the same network that
// is there already stays, whoever has set it.
[[nodiscard]] std::expected<void, std::string> add_link_routes(
    const std::string& interface, const std::vector<std::uint32_t>& tables,
    const Networks& networks);
// Those that are there, of these tables, each once.
[[nodiscard]] Networks link_routes(const std::string& interface,
                                   const std::vector<std::uint32_t>& tables);
// Removes those of any table that are not among these.
void remove_other_link_routes(const std::string& interface,
                              const std::vector<std::uint32_t>& tables,
                              const Networks& kept) noexcept;

// MAC, MTU, addresses, up, routes, default route, rules: in this order. Routes stand in the port's
// table, with the networks of its addresses; policy_rules.hpp leads to it. The main table has the
// networks too, and the core port's routes for programs of this host, but never a default route.
// May be repeated: what is there already stays. A route that somebody else has set to the same
// network in the port's table is an error; in the main table it stays.
[[nodiscard]] std::expected<void, std::string> configure_twin(const config::Port& port,
                                                              contract::PortRole role,
                                                              const MacAddress& mac,
                                                              std::uint32_t mtu,
                                                              bool routes_may_exist);

// Takes the XDP program off an interface, whoever attached it. No effect where there is none.
void detach_xdp(const std::string& interface) noexcept;

// IPv4 addresses of an interface, in the kernel's order; empty when there is no such interface.
[[nodiscard]] std::vector<Ipv4Address> interface_addresses(const std::string& interface);
// The same with the lengths of their networks.
[[nodiscard]] std::vector<Ipv4Prefix> interface_networks(const std::string& interface);

inline constexpr std::uint16_t kPptpPort = 1723;  // RFC 2637 §1.4

// Callers that the kernel keeps for us until they are accepted: an area that dials at once.
inline constexpr int kListenBacklog = 4096;

// The addresses to listen on: pptp.listen, or those of the access port. Error: there are none.
[[nodiscard]] std::expected<std::vector<Ipv4Address>, std::string> listen_addresses(
    const config::Config& config);

// A socket with this address that does not listen. IP_FREEBIND: the address may come later. Tries
// for a second: the planes of a supervisor that was killed die with it, but not in the same
// instant.
[[nodiscard]] std::expected<UniqueFd, netlink::BindError> bind_patiently(Ipv4Address address,
                                                                         std::uint16_t tcp_port);
// The same, and it listens: kListenBacklog, TCP_NODELAY (inherited by what it accepts).
[[nodiscard]] std::expected<UniqueFd, std::string> listen_on(Ipv4Address address,
                                                             std::uint16_t tcp_port);

// The kernel's bound on any backlog (net.core.somaxconn). Empty: not known.
[[nodiscard]] std::optional<int> largest_backlog();

// A raw socket that takes GRE (protocol 47) and keeps none of it. While it is open the kernel does
// not answer GRE with ICMP protocol unreachable, on which clients hang up: it covers the moments in
// which no dataplane takes the packets, its restart above all.
[[nodiscard]] std::expected<UniqueFd, std::string> open_gre_guard();

}  // namespace pns::supervisor
