// SPDX-License-Identifier: BSD-3-Clause
//
// StageContext: what the stages of one worker work with. Made once by the worker; `now_ns` is set
// at each poll. References only; one worker.
#pragma once

#include <rte_mempool.h>
#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "dataplane/gre/ack_list.hpp"
#include "dataplane/gre/gap_queue.hpp"
#include "dataplane/gre/reorder.hpp"
#include "dataplane/gre/send_window.hpp"
#include "dataplane/mppe/mppe_engine.hpp"
#include "dataplane/packet/burst.hpp"
#include "dataplane/packet/departure_wheel.hpp"
#include "dataplane/packet/policer.hpp"
#include "dataplane/packet/rate_groups.hpp"
#include "dataplane/pipeline/reassembly.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/session/session_table.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {

class BroadcastRelay;
class FilterSet;

struct PortSettings {
  MacAddress mac{};
  bool has_twin = false;
  bool leads_to_host = false;                     // into the host's own IP stack
  bool has_services = false;                      // core: packets may go to programs of this host
  std::uint16_t mtu = 1500;                       // octets of IP
  std::array<EventBucket, kPuntClassCount> punt;  // by PuntClass
};

// Key changes that gaps may cost a worker, for all its sessions, as long as no packet opens behind
// them: a packet that opens gets its tokens back. Numbers of packets lost by a real peer are
// bounded by what its line carries; forgeries are bounded by these. At 500 ns a step they are 1.9 %
// of a core for short gaps, and 5 % for long ones (mppe_gap.hpp).
struct KeyStepBudget {
  // Gaps that the missing GRE numbers explain have a bucket of their own, since those who cannot
  // see the session's numbers cannot make such packets.
  EventBucket explained{25'000, 4'096};
  EventBucket unexplained{12'500, 1'024};
  EventBucket long_gaps;

  static constexpr std::uint32_t kLongGapBurst = 131'072;
  // step_ns: time of one key change.
  explicit KeyStepBudget(std::uint32_t step_ns) noexcept
      : long_gaps(kLongGapShareNs / std::max(step_ns, 100U), kLongGapBurst) {}
  static constexpr std::uint32_t kLongGapShareNs = 50'000'000;  // a second
};

// Key changes that gaps may cost for one session: 100,000 a second, 262,144 at once. These tokens
// do not come back: a peer that has the keys can skip numbers, and none of them crosses its line.
inline constexpr std::uint64_t kSessionStepNs = 1'000'000'000 / 100'000;
inline constexpr std::uint64_t kSessionStepBurstNs = 262'144 * kSessionStepNs;
[[nodiscard]] inline bool admit_key_steps(contract::UpstreamState& up, std::uint64_t now_ns,
                                          std::uint32_t steps) noexcept {
  return admit(up.key_steps_spent_ns, now_ns, steps * kSessionStepNs, kSessionStepBurstNs);
}

// The fate of packets over the rate of their session.
struct RateSettings {
  struct Direction {
    bool shapes = false;             // they wait; else they are dropped
    std::uint64_t max_delay_ns = 0;  // at most DepartureWheel::kHorizonNs
  };
  Direction up, down;
  std::uint32_t packets_in_all = 0;       // of this worker that may wait
  std::uint16_t max_session_packets = 0;  // the same of a session in one direction
};

struct StageContext {
  SessionTable& sessions;
  RoutingTables routing;
  contract::WorkerCounters& counters;
  AckList& acks;
  Reassembly& reassembly;
  Reorder& reorder;
  GapQueue& gaps;
  SendWindow& send_window;
  DepartureWheel& departures;
  GroupShares& groups;
  MppeEngine& mppe;
  Burst& deferred;  // inner packets made here; they go through the stages in the next turn
  std::array<PortSettings, contract::kPorts>& ports;
  rte_mempool* pool = nullptr;
  WorkerId self;
  std::uint16_t workers = 1;
  BroadcastRelay* broadcasts = nullptr;  // null: broadcasts are not relayed
  const FilterSet* filters = nullptr;    // null: no session can have a filter
  RateSettings rates;
  bool packets_wait = false;  // a packet of the burst in the stages has kPacketWaits
  Ipv4Address icmp_source;
  std::uint64_t now_ns = 0;
  bool control_attached = true;
  // Packets to main for the MAC address of their next hop: of neighbours that are the destination
  // itself, after the session has paid (egress.cpp), and of gateways, which many sessions share.
  EventBucket resolve{2'000, 256};
  EventBucket resolve_gateway{1'000, 128};
  // ARP and Neighbor Discovery of the core network, for addresses of subscribers: as many as of
  // PuntClass::neighbour.
  EventBucket neighbour_answers{10'000, 256};
  // PPP control frames to the control process, beside each session's own rate. Calls that are being
  // set up and calls that are open have a bucket each, and both bursts fit into the ring together:
  // ten thousand open sessions that flood keep no new call from being set up. The bursts are large
  // because a worker without a core of its own finds the frames of many milliseconds at once.
  static constexpr std::uint32_t kSetUpFrames = 150'000;  // a second; a call needs 11
  static constexpr std::uint32_t kOpenFrames = 25'000;
  EventBucket control_of_setups{kSetUpFrames, 640};
  EventBucket control_of_open{kOpenFrames, 320};
  KeyStepBudget key_steps;
  std::uint32_t inline_steps = 0;  // key steps that packets of this poll may still cost
  // Packets of sessions that decrypt which may wait for an earlier one in vain: each costs
  // thousands of cycles, since nothing of it is in a cache any more when its time is over. Those
  // that prove to be the peer's cost nothing in the end. The others do not wait.
  EventBucket held_timeouts{2'500, 512};
  Ipv6Address icmp_source_ipv6;
  std::array<MppeJob, MppeEngine::kMaxJobs> mppe_jobs{};  // room for a stage that runs the engine

  [[nodiscard]] PortSettings& port(contract::PortRole role) noexcept {
    return ports[static_cast<std::size_t>(role)];
  }
  [[nodiscard]] contract::PortCounters& port_counters(contract::PortRole role) noexcept {
    return counters.ports[static_cast<std::size_t>(role)];
  }
};

// The extension of a packet's session; the fields are the session's own.
[[nodiscard]] inline contract::SessionExtension& extension_of(
    StageContext& stage, const PacketContext& context) noexcept {
  contract::SessionExtension& extension = stage.sessions.memory().extensions()[context.slot.value];
  if (extension.generation.load(std::memory_order_relaxed) != context.generation) {
    extension.resolve_spent_ns = 0;
    extension.service_spent_ns = 0;
    extension.broadcast_spent_ns = 0;
    extension.waiting = {};
    extension.generation.store(context.generation, std::memory_order_relaxed);
  }
  return extension;
}

// Octets of the largest IPv6 packet a session takes. Never below what every link must carry (RFC
// 8200 §5): every PPP peer takes 1,500 octets (RFC 1661 §6.1), and what is larger than the outer
// path leaves in fragments.
[[nodiscard]] inline std::uint16_t ipv6_mtu(const contract::SessionRecord& session) noexcept {
  return std::max(session.inner_mtu, wire::kIpv6MinimumMtu);
}

// Fetches what every packet touches of a record, either way. MPPE's state, and for sending the
// acknowledgement that is owed, are asked for when the record tells that they are wanted.
inline void prefetch_upstream(const contract::SessionRecord& session) noexcept {
  rte_prefetch0(&session);
  rte_prefetch0(&session.upstream);
}
inline void prefetch_downstream(const contract::SessionRecord& session) noexcept {
  rte_prefetch0(&session);
  rte_prefetch0(&session.downstream);
}
inline void prefetch_session_extras(const contract::SessionRecord& session) noexcept {
  if (load_shared(session.ack_pending)) rte_prefetch0(&session.upstream);
  if ((session.flags.load(std::memory_order_relaxed) & contract::kFlagMppe) != 0)
    rte_prefetch0(&session.downstream.mppe);
}

// Drops a packet of a session and puts it in the session's books.
inline void drop_upstream(PacketContext& context, DropReason reason) noexcept {
  if (context.session != nullptr) context.session->upstream.drops.add(1);
  drop(context, reason);
}
inline void drop_downstream(PacketContext& context, DropReason reason) noexcept {
  if (context.session != nullptr) context.session->downstream.drops.add(1);
  drop(context, reason);
}

}  // namespace pns::dataplane
