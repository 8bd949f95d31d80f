// SPDX-License-Identifier: BSD-3-Clause
//
// Worker: one poll-mode worker. Owns its queues, the sessions whose bucket the steering table gives
// it, and its block of counters in session memory. poll_once() receives, carries every packet
// through the stages to exactly one fate, takes commands, and does its housekeeping. It reads no
// clock, does not log and allocates nothing after construction but packet buffers.
// One thread calls everything here, except where a ring's other end says otherwise.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/mppe/mppe_engine.hpp"
#include "dataplane/packet/burst.hpp"
#include "dataplane/packet/doorbell.hpp"
#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/port/queue.hpp"
#include "dataplane/port/vlan.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/session/session_table.hpp"
#include "dataplane/worker/worker_command.hpp"
#include "pns/base/time.hpp"
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
  const FilterSet* filters = nullptr;  // null: no session can have a filter
  MppeKernels mppe = kernels_of(best_variant());
  // Main: writes; workers: read. Null: always attached.
  const std::atomic<bool>* control_attached = nullptr;
};

struct PollResult {
  std::uint32_t packets = 0;  // taken from queues and rings
  std::uint32_t commands = 0;
  std::uint32_t key_steps = 0;  // over gaps, between bursts
  std::uint32_t addresses = 0;  // looked at for broadcasts, between bursts
  [[nodiscard]] bool idle() const noexcept {
    return packets == 0 && commands == 0 && key_steps == 0 && addresses == 0;
  }
};

class Worker {
 public:
  // Registers with the table's quiescence variable. Sessions of this worker's buckets that owe an
  // acknowledgement are taken up where an earlier process left them.
  Worker(WorkerConfig config, SessionTable& sessions, RoutingTables routing);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // False: no memory for what the configuration asks of it (reassembly). Do not run it then.
  [[nodiscard]] bool complete() const noexcept { return !reassembly_.failed(); }

  // One turn. now_ns: CLOCK_MONOTONIC. Reports a quiescent state at its end.
  PollResult poll_once(Tsc now, std::uint64_t now_ns) noexcept;

  // An input ring holds something, or packets made in the last turn wait for the next.
  [[nodiscard]] bool has_pending() const noexcept;

  // Around a sleep: a sleeping worker must not hold up the removal of sessions.
  void before_sleep() noexcept;
  void after_sleep() noexcept;

  // Nanoseconds until something is due (a delayed acknowledgement, packets that wait for others or
  // for the peer's window), or UINT64_MAX: the longest sensible sleep.
  [[nodiscard]] std::uint64_t next_deadline_ns(std::uint64_t now_ns) const noexcept;

  // Packets that wait behind gaps; they go with the worker.
  [[nodiscard]] std::uint32_t packets_behind_gaps() const noexcept { return gaps_.packets(); }

  [[nodiscard]] WorkerId id() const noexcept { return config_.id; }
  [[nodiscard]] const WorkerConfig& config() const noexcept { return config_; }

 private:
  void receive(contract::PortRole role) noexcept;
  // A burst of a queue: the one that was taken ahead, or a fresh one. Takes the next ahead where
  // the burst is full.
  void take(contract::PortRole role, std::size_t queue, Burst& burst) noexcept;
  // Fetches some of the packets that were taken ahead. Between two stages: a stage cannot begin
  // before the CPU has sent the requests, and it sends no more than about 24 at a time.
  void fetch_ahead() noexcept;
  // Takes a burst of one port's frames through the stages.
  void enter(contract::PortRole role, Burst& burst) noexcept;
  // Takes the tags off, and has each frame enter by the port that it belongs to.
  void sort(contract::PortRole role, Burst& received) noexcept;
  [[nodiscard]] std::optional<contract::PortRole> port_of(contract::PortRole role,
                                                          rte_mbuf* packet) noexcept;
  // Puts the port's tags on. Result: the frames that have them; the others are dropped.
  [[nodiscard]] std::span<rte_mbuf*> tag(const VlanTags& tags,
                                         std::span<rte_mbuf*> packets) noexcept;
  void take_commands() noexcept;
  void take_from_twins() noexcept;
  void take_from_services() noexcept;
  void take_handed_over() noexcept;
  void take_deferred() noexcept;
  void execute(rte_mbuf* packet, Burst& frames) noexcept;
  void inject(rte_mbuf* packet, SlotId slot, std::uint32_t generation, Burst& frames) noexcept;
  void send_frame(rte_mbuf* packet, contract::PortRole port, Burst& frames) noexcept;
  void send_due_acks(std::uint64_t now_ns) noexcept;
  bool send_due_ack_burst(std::uint64_t now_ns) noexcept;
  void follow_up() noexcept;
  void send_urgent_acks() noexcept;
  void release_held_packets(std::uint64_t now_ns) noexcept;
  void release_window_packets(std::uint64_t now_ns) noexcept;
  void expire_fragments(std::uint64_t now_ns) noexcept;
  // Where a burst enters the list of stages.
  enum class Stage : std::uint8_t { kGreIn, kPppIn, kMppeOpen, kForward, kIpv4Out, kGreOut };
  // Carries a burst through `first` and all stages behind it, and finishes it.
  void run_from(Stage first, Burst& burst) noexcept;
  void follow_gaps() noexcept;
  void relay_broadcasts() noexcept;
  void take_from_lan() noexcept;
  // Carries out every packet's fate, and counts it where it ends.
  void finish(Burst& burst) noexcept;
  bool finish_at_once(Burst& burst) noexcept;
  void transmit(contract::PortRole role, std::span<rte_mbuf*> packets) noexcept;
  void hand_over(std::span<rte_mbuf*> packets) noexcept;
  // To the twin of a port, and to main for their next hop.
  void punt(contract::PortRole role, std::span<rte_mbuf*> packets) noexcept;
  void resolve(contract::PortRole role, std::span<rte_mbuf*> packets) noexcept;
  // Into a ring; what does not fit is dropped for `otherwise`. Result: how many went in.
  std::size_t push(rte_ring* ring, Doorbell* doorbell, std::span<rte_mbuf*> packets,
                   DropReason otherwise) noexcept;
  void count_drops(DropReason reason, std::uint64_t count) noexcept;

  WorkerConfig config_;
  SessionTable& sessions_;
  contract::WorkerCounters& counters_;
  bool sorts_ = false;  // ports have tags, or share a device
  std::array<PortSettings, contract::kPorts> ports_;
  AckList acks_;
  Reassembly reassembly_;
  Reorder reorder_;
  GapQueue gaps_;
  SendWindow send_window_;
  std::optional<BroadcastRelay> broadcasts_;
  MppeEngine mppe_;
  // The packets behind a burst of a queue that is busy. Their lines arrive while the stages work on
  // the burst.
  struct Ahead {
    std::array<rte_mbuf*, Burst::kReceive> packets;
    std::uint16_t count = 0;
    std::uint16_t fetched = 0;  // of them
  };
  std::array<std::vector<Ahead>, contract::kPorts> ahead_;  // by port and queue
  Ahead* fetching_ = nullptr;                               // behind the burst in the stages
  contract::PortRole fetching_from_{};
  Burst deferred_;
  StageContext stage_;
  std::uint64_t housekeeping_ns_ = 0;
  Tsc last_poll_;
  bool last_poll_busy_ = false;
  PollResult result_;
};

}  // namespace pns::dataplane
