// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/packet_sources.hpp"

#include <rte_prefetch.h>

#include <optional>

#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/gre_out.hpp"

namespace pns::dataplane {

using contract::SessionRecord;

void accept_from_services(Burst& packets, StageContext& stage) noexcept {
  for (rte_mbuf* packet : packets.all()) {
    PacketContext& context = context_of(packet);
    context = PacketContext{};
    context.flags = kPacketTtlDone | kPacketFromHost;
    const ForSubscriber found =
        subscriber_of_packet(stage.sessions, stage.routing.inner, octets_of(packet));
    if (!found) {
      drop(context, DropReason::no_session);
      continue;
    }
    attach(context, found.session.slot, *found.session.session);
    context.lane = found.lane;
  }
}

void accept_handed_over(Burst& burst, StageContext& stage) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    rte_prefetch0(packet);
    rte_prefetch0(rte_mbuf_to_priv(packet));
  }
  for (rte_mbuf* packet : burst.all()) {
    const PacketContext& context = context_of(packet);
    rte_prefetch0(rte_pktmbuf_mtod(packet, const std::byte*));
    if (context.session != nullptr)
      prefetch_downstream(*context.session);
    else if (const SessionRecord* const likely = stage.sessions.record(context.slot))
      context.resume == Lane::kSubscriber ? prefetch_downstream(*likely)
                                          : prefetch_upstream(*likely);
  }
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    context.lane = context.resume;
    // It waited in a ring: the session may have ended.
    if (context.resume == Lane::kSubscriber) {
      context.session = stage.sessions.record(context.slot);
      context.generation = context.session->generation.load(std::memory_order_relaxed);
    }
    if (context.session != nullptr &&
        !stage.sessions.is_current(context.slot, context.generation)) {
      context.session = nullptr;
      drop(context, DropReason::no_session);
    }
  }
}

void take_due_acks(Burst& burst, StageContext& stage) noexcept {
  AckList& acks = stage.acks;
  const std::uint64_t now_ns = stage.now_ns;
  if (acks.next_due_ns() > now_ns) return;
  acks.prefetch_next(Burst::kReceive);
  while (acks.next_due_ns() <= now_ns && burst.count < Burst::kReceive) {
    const std::optional<SlotId> popped = acks.pop();
    if (!popped) continue;
    const SlotId slot = *popped;
    SessionRecord& session = *stage.sessions.record(slot);
    if (!session.ack_pending) continue;
    if (session.upstream.ack_due_ns > now_ns) {
      acks.arm(slot, session.upstream.ack_due_ns);
      continue;
    }
    rte_mbuf* packet = make_ack(stage, slot, session);
    if (packet == nullptr) {
      acks.arm(slot, now_ns + kAckDelayNs);
      break;
    }
    (void)burst.append(packet);
  }
}

void take_urgent_acks(Burst& burst, StageContext& stage) noexcept {
  AckList& acks = stage.acks;
  const auto urgent = acks.urgent();
  if (urgent.empty()) return;
  for (const SlotId slot : urgent) {
    SessionRecord& session = *stage.sessions.record(slot);
    if (!session.ack_pending || session.upstream.unacked_packets < kAdvertisedWindow / 2)
      continue;  // data took it along
    if (rte_mbuf* packet = make_ack(stage, slot, session); packet != nullptr)
      (void)burst.append(packet);
  }
  acks.clear_urgent();
}

void take_window_packets(Burst& burst, StageContext& stage) noexcept {
  std::uint64_t timeouts = 0;
  const std::size_t taken =
      stage.send_window.take_ready(std::span(burst.packets).first(Burst::kReceive),
                                   stage.sessions.memory().sessions(), stage.now_ns, timeouts);
  stage.counters.window_timeouts.add(timeouts);
  if (taken == 0) return;
  burst.count = static_cast<std::uint16_t>(taken);
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    context.flags |= kPacketReleased;
    if (stage.sessions.is_current(context.slot, context.generation)) continue;
    context.session = nullptr;
    drop(context, DropReason::no_session);
  }
}

}  // namespace pns::dataplane
