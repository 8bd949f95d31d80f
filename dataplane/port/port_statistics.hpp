// SPDX-License-Identifier: BSD-3-Clause
//
// PortStatistics: reads what the device, the sockets and the TAPs of a port count. It decides which
// number means which PortLoss, so that no packet has two.
//
//   ethdev   rte_eth_stats; xstats by name. net_af_packet has no imissed: its PACKET_STATISTICS
//   xdp:     XDP_STATISTICS of the socket of each queue; the interface's own counters
//   tap:     the interface behind the TAP; a twin likewise
//
// Two numbers of net_af_xdp (DPDK 22.11) are left out. Its imissed is rx_dropped without
// rx_ring_full, which is the one that grows when a worker is late. Its oerrors are the packets that
// it gave back, which the worker counts as tx_full.
//
// Main thread, about once a second; the workers know nothing of it.
#pragma once

#include <rte_ethdev.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/port/interface_statistics.hpp"
#include "dataplane/port/port.hpp"
#include "dataplane/port/port_losses.hpp"

namespace pns::dataplane {

// Whether a name that a driver gives a counter speaks of packets lost: rx_q0_errors, xdp_drops.
[[nodiscard]] bool speaks_of_loss(std::string_view name);

class PortStatistics {
 public:
  // The port has started and its workers have not. `port` must outlive it.
  explicit PortStatistics(const Port& port);

  [[nodiscard]] PortReading read();

 private:
  using Since = PortReading::Since;
  void read_ethdev(PortReading& out);
  void read_packet_sockets(PortReading& out);
  void read_xdp(PortReading& out);
  void read_tap(PortReading& out);
  // Driver counters whose name speaks of loss, less what they stood at when the port was opened.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> driver_counters() const;

  const Port& port_;
  InterfaceStatistics interfaces_;
  rte_eth_stats at_open_{};
  std::vector<std::pair<std::string, std::uint64_t>> driver_at_open_;
  std::vector<int> packet_sockets_;        // net_af_packet only
  std::uint64_t packet_socket_drops_ = 0;  // the kernel forgets what it has told
};

}  // namespace pns::dataplane
