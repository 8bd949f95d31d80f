// SPDX-License-Identifier: BSD-3-Clause
//
// The two logical ports and how each kind of device is opened: xdp:, tap:, PCI or any DPDK device
// string. A Port says what it is (MAC, queues, what can be waited on); packets move through the
// RxQueue and TxQueue it gives out. Main thread, at start; queues then belong to their worker.
#pragma once

#include <rte_mempool.h>

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "dataplane/port/bond.hpp"
#include "dataplane/port/queue.hpp"
#include "dataplane/port/steering.hpp"
#include "dataplane/port/vlan.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/port_steering.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// Abilities of a device; tests skip the cases that it cannot show.
struct PortCapabilities {
  bool fragments_intact = true;  // outer fragments arrive as they were sent
  bool can_wait = false;         // wait_fds become readable when packets are there
};

struct Port {
  contract::PortRole role{};
  std::string device;            // as configured, for logs
  std::string kernel_interface;  // the twin, or that of xdp: or kernel:; its addresses are ours
  std::string xdp_interface;     // has our XDP program; empty: none
  MacAddress mac{};
  std::uint16_t mtu = 1500;  // octets of IP
  bool has_twin = false;
  bool leads_to_host = false;    // kernel: the host's IP stack takes every packet
  std::string shared_interface;  // that the device shares with the kernel; empty: none
  PortCapabilities capabilities;
  std::vector<RxQueue> rx_queues;  // index modulo workers = worker
  std::vector<TxQueue> tx_queues;  // one for each worker
  std::vector<int> wait_fds;       // poll(2) for reading; by receive queue when there are as many
  std::vector<int> xdp_sockets;    // xdp: only; by receive queue, not owned
  UniqueFd wire;                   // tap: only
  std::uint16_t ethdev_id = UINT16_MAX;  // other kinds
  VlanTags vlan;
  bool device_inserts_tags = false;
  // The access port has the queues, and counts what the device loses.
  bool on_others_device = false;
  std::vector<BondMember> members;  // of a bond
  bool lacp = false;                // the bond is IEEE 802.3ad
  contract::PortSteering steering;  // how packets find their worker
  std::string no_key_rules;         // why the driver has no rules by GRE key; empty: not tried
  std::string no_multicast;         // why the driver still filters multicast; empty: it does not
  // How the kernel runs the XDP program ("native", "generic", "hardware") and whether it copies
  // packets; empty: not xdp:.
  std::string xdp_mode;
  bool zero_copy = false;
  int numa_node = -1;  // of the device; -1: none
};

// Opens and starts one port. `wire` is the supervisor's TAP for tap: devices and empty otherwise.
// Error: one line that names the device and what failed.
[[nodiscard]] std::expected<Port, std::string> open_port(contract::PortRole role,
                                                         const config::Config& config,
                                                         UniqueFd wire, rte_mempool* pool);

// The core port where it is the access port's device: it sends by the same queues and receives by
// none.
[[nodiscard]] Port port_on_device_of(const Port& access, const config::Config& config);

// The descriptors that a worker waits on: those of its own receive queues, so that packets of one
// worker wake no other. All of them where the device has not one for each queue.
[[nodiscard]] std::vector<int> wait_fds_of(const Port& port, WorkerId worker,
                                           std::uint16_t workers);

// The locally administered MAC of a tap: port: the same for the same node and role at each start.
[[nodiscard]] MacAddress tap_mac(const std::string& node, contract::PortRole role) noexcept;

// Stops and closes what open_port started (an XDP program is detached). Needs the privileges of
// open_port(); the dataplane leaves its ports to the end of its process.
void close_port(Port& port) noexcept;

}  // namespace pns::dataplane
