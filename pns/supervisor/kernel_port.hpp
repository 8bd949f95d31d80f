// SPDX-License-Identifier: BSD-3-Clause
//
// The interface of a kernel: port, by which packets of subscribers enter and leave the host's own
// IP stack: a pair of veth(4). The host has IFACE, with the port's addresses and a route to each
// pool; the dataplane has its peer, IFACE-dp, by AF_XDP. Both have one MAC address and IFACE asks
// for no neighbour, so that no frame between them needs ARP.
//
// The peer stays down until a dataplane has it: nothing of the host's must come to the host again.
// Both live as long as the server; the next one removes those that a killed server left. Decision
// 0024 has the reasons. Supervisor thread only; errors are one line.
#pragma once

#include <expected>
#include <string>

#include "pns/base/networks.hpp"
#include "pns/config/config.hpp"
#include "pns/supervisor/kernel_net.hpp"

namespace pns::supervisor {

// Why the interface of this port cannot be made; empty: it can be, or it is there already.
[[nodiscard]] std::string kernel_port_objection(const config::Port& port);

// Makes the pair, in place of one that is there. IFACE has no address yet.
[[nodiscard]] std::expected<void, std::string> make_kernel_port(const config::Port& port);

// Gives IFACE its addresses, and routes to the pools and to what sessions have outside them in the
// main table, in place of others that this server has given it. `had`: addresses; then those that
// it has. May be repeated with another configuration.
[[nodiscard]] std::expected<void, std::string> configure_kernel_port(const config::Config& config,
                                                                     const Networks& sessions,
                                                                     OwnAddresses& had);

// Removes the pair, and with it addresses and routes. No effect where there is none.
void remove_kernel_port(const config::Port& port) noexcept;

}  // namespace pns::supervisor
