// SPDX-License-Identifier: BSD-3-Clause
//
// Policy rules of the kernel (ip-rule(8)) that give each twin a routing table of its own:
//   17231  from ADDRESS of the twin          the port's table
//   17232  oif TWIN                          the port's table
//   32801  of this host, nothing in main     the core port's table; 32802: the access port's
// The first two keep the kernel's own packets (TCP 1723 above all) on the port they belong to, so
// that both ports may have a default route. The last two are for programs of the host whose packets
// find no route in main.
//
// The kernel drops the routes of a twin with it, but no rule. Ours carry a protocol number
// (kRuleProtocol): those that a killed supervisor left are found by it. Supervisor thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::supervisor {

inline constexpr std::uint8_t kRuleProtocol = 172;  // FRA_PROTOCOL; RTPROT_* has nothing there

// The rules of one port with a twin. May be repeated: what is there already stays. Error: one line.
[[nodiscard]] std::expected<void, std::string> add_rules(const config::Port& port,
                                                         contract::PortRole role);

// Makes the rules of services_interface.hpp the wanted ones: none when they are off. `need_ipv6`:
// it is an error when the kernel has none. May be repeated.
[[nodiscard]] std::expected<void, std::string> set_services_rules(const config::Ports& ports,
                                                                  bool need_ipv6);

// Removes our rules: all that no other server on this host uses, one of whose interfaces is there
// and has none of these names.
void remove_rules(const std::vector<std::string>& our_interfaces) noexcept;

}  // namespace pns::supervisor
