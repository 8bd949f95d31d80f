// SPDX-License-Identifier: BSD-3-Clause
//
// WorkerConfig: what a worker is made of: its queues, the rings to others, and the settings of its
// parts. Plain values; rings, pools and doorbells belong to main.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "dataplane/mppe/mppe_engine.hpp"
#include "dataplane/packet/doorbell.hpp"
#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/port/port_roles.hpp"
#include "dataplane/port/queue.hpp"
#include "dataplane/port/vlan.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// Rings to main. Each has its own, so that none keeps another's packets away.
enum class MainRing : std::uint8_t {
  kControl,     // PPP frames for the control process
  kGateways,    // packets whose next hop is a gateway without a known MAC address
  kNeighbours,  // packets whose destination is a neighbour without a known MAC address
};
inline constexpr std::size_t kMainRings = 3;

// Frames of one PuntClass on their way to the twin of a port.
struct PuntQueue {
  std::uint32_t rate = 0;    // frames a second that the worker lets through; 0: all
  std::uint32_t burst = 1;   // and how many at once
  rte_ring* ring = nullptr;  // out: frames for the kernel; null: no twin, or no services
};

// The meaning for main of a packet from one of the Worker's to_main rings, in
// context_of(packet).lane:
//   Lane::kControl   PPP control frame from the Protocol field; slot, generation
//   Lane::kResolve   Ethernet frame complete but for its destination; next_hop, port. When the
//                    neighbour is known main writes the MAC and returns it by kSendFrame.
struct WorkerConfig {
  struct Port {
    std::vector<RxQueue> rx_queues;  // this worker's; may be empty
    TxQueue tx_queue;
    MacAddress mac{};
    bool has_twin = false;
    bool leads_to_host = false;  // into the host's own IP stack
    std::uint16_t mtu = 1500;    // octets of IP
    VlanTags vlan;               // of its frames on the wire
    // Towards the twin, by PuntClass.
    std::array<PuntQueue, kPuntClassCount> punt;
    rte_ring* from_twin = nullptr;  // in: Ethernet frames from the kernel; null: none
    Doorbell* twin_doorbell = nullptr;
  };

  // Both ports are one device, whose queues the access port has.
  bool one_device = false;

  WorkerId id;
  std::uint16_t worker_count = 1;
  std::array<Port, contract::kPorts> ports;
  // Packets of IP to and from services of the host. They leave as PuntClass::service of the core
  // port, whose ring is null where there are none.
  rte_ring* from_services = nullptr;
  BroadcastRelay::Settings broadcasts;
  // In, from main: broadcasts of the core network, Ethernet frames that the kernel has too. Null
  // where the port takes every packet.
  rte_ring* from_lan = nullptr;
  rte_mempool* pool = nullptr;   // private area kMbufPrivateSize, headroom RTE_PKTMBUF_HEADROOM
  rte_ring* commands = nullptr;  // in, from main: WorkerCommand
  std::array<rte_ring*, kMainRings> to_main{};  // out, by MainRing
  Doorbell* main_doorbell = nullptr;
  // By the other worker's number; null for this one. SPSC each.
  std::array<rte_ring*, contract::kMaxWorkers> handover_in{};
  std::array<rte_ring*, contract::kMaxWorkers> handover_out{};
  std::array<Doorbell*, contract::kMaxWorkers> worker_doorbells{};
  Ipv4Address icmp_source;  // of our ICMP errors; unspecified: none are sent
  Ipv6Address icmp_source_ipv6;
  Reassembly::Settings reassembly;
  Reorder::Settings reorder;
  GapQueue::Settings gaps;
  SendWindow::Settings send_window;
  RateSettings rates;
  const RateGroups* rate_groups = nullptr;  // null: no session can have a group
  const FilterSet* filters = nullptr;       // null: no session can have a filter
  MppeKernels mppe = kernels_of(best_variant());
  // Main: writes; workers: read. Null: always attached.
  const std::atomic<bool>* control_attached = nullptr;
};

[[nodiscard]] constexpr std::size_t port_index(contract::PortRole role) noexcept {
  return static_cast<std::size_t>(role);
}

}  // namespace pns::dataplane
