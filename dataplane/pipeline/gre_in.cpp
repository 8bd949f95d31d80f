// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/gre_in.hpp"

#include <rte_prefetch.h>

#include <algorithm>
#include <utility>

#include "dataplane/gre/sequence_window.hpp"
#include "pns/wire/gre.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;
using contract::UpstreamState;

// The session of a packet whose GRE header is right, when it is ours and the peer's. Null: the
// packet has another fate.
SessionRecord* find_session(StageContext& stage, PacketContext& context, OurCallId call) noexcept {
  const WorkerId owner = stage.sessions.owner(call);
  if (owner != stage.self) {
    context.lane = Lane::kHandOver;
    context.resume = Lane::kGre;
    context.worker = owner;
    context.session = nullptr;
    return nullptr;
  }
  if (context.session == nullptr) {  // handed over, or put together of fragments
    const FoundSession found = stage.sessions.find(context.local, call);
    if (!found) {
#ifdef PNS_CONTRACT_TRIAL  // pns/contract/build_contract.hpp
      if (call == OurCallId(0xffff)) {
        drop(context, DropReason::contract_trial);
        return nullptr;
      }
#endif
      drop(context, DropReason::gre_unknown_call);
      return nullptr;
    }
    context.session = found.session;
    context.slot = found.slot;
  }
  if (context.session->peer != context.source) {
    drop(context, DropReason::gre_wrong_peer);
    return nullptr;
  }
  return context.session;
}

void schedule_ack(StageContext& stage, SessionRecord& session, SlotId slot) noexcept {
  UpstreamState& up = session.upstream;
  if (up.unacked_packets != UINT16_MAX) ++up.unacked_packets;
  if (!session.ack_pending) {
    store_shared(session.ack_pending, true);
    up.ack_due_ns = stage.now_ns + kAckDelayNs;
    stage.acks.arm(slot, up.ack_due_ns);
  }
  if (up.unacked_packets >= kAdvertisedWindow / 2) stage.acks.request_now(slot);
}

// Notes an acknowledgement of something we sent; others are ignored.
void take_ack(StageContext& stage, SessionRecord& session, std::uint32_t ack) noexcept {
  UpstreamState& up = session.upstream;
  if (window::distance(ack, session.downstream.next_sequence) >= 0) return;
  if (up.ack_received && window::distance(ack, up.highest_ack_received) < 0) return;
  up.highest_ack_received = ack;
  up.ack_received = true;
  stage.counters.acks_received.add(1);
  if (stage.send_window.enabled()) stage.send_window.on_ack(session, ack, stage.now_ns);
}

bool decrypts(const SessionRecord& session) noexcept {
  return (session.flags.load(std::memory_order_relaxed) & contract::kFlagMppe) != 0;
}

// Fetches what the packet will pay with.
void prefetch_rates(const SessionRecord& session) noexcept {
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  if ((flags & contract::kFlagRates) != 0 && session.upstream_rate)
    rte_prefetch0(&session.upstream.rate_spent_ns);
  if ((flags & contract::kFlagRateGroup) != 0) rte_prefetch0(&session.downstream.rate_group);
}

// A packet that waited is the peer's after all.
void refund_wait(StageContext& stage, PacketContext& context) noexcept {
  if ((context.flags & kPacketWaitPaid) == 0) return;
  context.flags &= static_cast<std::uint16_t>(~kPacketWaitPaid);
  stage.held_timeouts.refund(1);
}

// Packets in the order in which the stages behind see them, and what is counted about them.
class Delivery {
 public:
  Delivery(Burst& out, StageContext& stage) noexcept : out_(out), stage_(stage) {}
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;
  ~Delivery() {
    if (gaps_ != 0) stage_.counters.sequence_gaps.add(gaps_);
  }

  [[nodiscard]] std::uint64_t& gaps() noexcept { return gaps_; }
  void push(rte_mbuf* packet) noexcept { (void)out_.append(packet); }
  // A payload packet with its outer headers off, whose number the window has moved to.
  void deliver(rte_mbuf* packet, PacketContext& context) noexcept {
    schedule_ack(stage_, *context.session, context.slot);
    pass_on(packet, context);
  }
  // A packet with its outer headers off, whether or not the window has moved to its number.
  void pass_on(rte_mbuf* packet, PacketContext& context) noexcept {
    context.session->upstream.gre_packets.add(1);
    context.session->upstream.gre_bytes.add(context.outer_length);
    context.lane = Lane::kPpp;
    push(packet);
  }
  // A packet behind a gap of a session that decrypts. Anybody who knows about where the numbers are
  // can make such a gap, and a window that moves over it locks the peer out: it moves when the
  // packet opens.
  void deliver_unverified(rte_mbuf* packet, PacketContext& context) noexcept {
    context.flags |= kPacketUnverified;
    pass_on(packet, context);
  }
  // Delivers the waiting packets that now follow the highest number; leaves room for `reserve`
  // packets.
  void deliver_waiting(UpstreamState& up, std::size_t reserve) noexcept {
    while (up.reorder_queue != 0 && out_.count + reserve < kMaxDelivered) {
      const std::uint32_t before = up.highest_sequence.load(std::memory_order_relaxed);
      rte_mbuf* const packet = stage_.reorder.take_next(up, before);
      if (packet == nullptr) return;
      PacketContext& context = context_of(packet);
      window::advance(up, context.sequence, gaps_);
      deliver(packet, context);
      refund_wait(stage_, context);
      stage_.counters.reordered.add(1);
    }
  }
  // Gives up what is missing before the first packet that waits, and delivers from there. Result:
  // the number delivered last.
  std::uint32_t skip_gap(SessionRecord& session, std::size_t reserve) noexcept {
    UpstreamState& up = session.upstream;
    const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
    const std::uint32_t before_first = stage_.reorder.first(up, highest) - 1;
    if (decrypts(session) && before_first != highest)
      return deliver_waiting_unverified(up, before_first, reserve);
    if (before_first != highest) window::skip(up, before_first, gaps_);
    deliver_waiting(up, reserve);
    return up.highest_sequence.load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool has_room(std::size_t reserve) const noexcept {
    return out_.count + reserve < kMaxDelivered;
  }

 private:
  // The stages behind may add packets to the burst.
  static constexpr std::size_t kMaxDelivered = Burst::kCapacity - 32;

  // The run of waiting packets that begins behind `before_first`. Result: the last of them.
  std::uint32_t deliver_waiting_unverified(UpstreamState& up, std::uint32_t before_first,
                                           std::size_t reserve) noexcept {
    std::uint32_t last = before_first;
    while (has_room(reserve)) {
      rte_mbuf* const packet = stage_.reorder.take_next(up, last);
      if (packet == nullptr) break;
      deliver_unverified(packet, context_of(packet));
      ++last;
      stage_.counters.reordered.add(1);
    }
    return last;
  }

  Burst& out_;
  StageContext& stage_;
  std::uint64_t gaps_ = 0;
};

void count_late(StageContext& stage, UpstreamState& up, std::uint64_t dropped) noexcept {
  up.drops.add(dropped);
  stage.counters.drops[static_cast<std::size_t>(DropReason::gre_late)].add(dropped);
}

// The window has moved past everything that waits: it is late now.
void drop_waiting(StageContext& stage, SessionRecord& session) noexcept {
  UpstreamState& up = session.upstream;
  const std::uint16_t queue = std::exchange(up.reorder_queue, std::uint16_t{0});
  std::uint64_t dropped = 0;
  while (rte_mbuf* const packet = stage.reorder.take_any(queue)) {
    rte_pktmbuf_free(packet);
    ++dropped;
  }
  count_late(stage, up, dropped);
}

// The window has moved from `before`, by no more than can wait: what it moved past is late.
void drop_passed(StageContext& stage, SessionRecord& session, std::uint32_t before) noexcept {
  UpstreamState& up = session.upstream;
  const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
  std::uint64_t dropped = 0;
  while (up.reorder_queue != 0) {
    const std::uint32_t first = stage.reorder.first(up, before);
    if (window::distance(first, highest) > 0) break;
    rte_pktmbuf_free(stage.reorder.take_next(up, first - 1));
    ++dropped;
  }
  if (dropped != 0) count_late(stage, up, dropped);
}

// A packet judged kAhead: it waits, or everything up to it is delivered now.
void take_early(StageContext& stage, Delivery& delivery, rte_mbuf* packet, PacketContext& context,
                std::size_t reserve) noexcept {
  SessionRecord& session = *context.session;
  UpstreamState& up = session.upstream;
  const bool proves = decrypts(session);
  // While a stateful session waits for a flushed packet nothing that may be one is kept from it.
  bool may_wait = stage.reorder.enabled() && !(proves && up.mppe.flush_wanted);
  if (may_wait && proves) {
    may_wait = stage.held_timeouts.admit_one(stage.now_ns);
    if (may_wait) context.flags |= kPacketWaitPaid;
  }
  while (may_wait) {
    const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
    if (window::distance(context.sequence, highest) == 1) break;
    const auto outcome =
        stage.reorder.hold(session, context.slot, packet, context.sequence, stage.now_ns);
    if (outcome == Reorder::Outcome::kHeld) return;
    if (outcome == Reorder::Outcome::kDuplicate) {
      refund_wait(stage, context);
      drop_upstream(context, DropReason::gre_duplicate);
      return delivery.push(packet);
    }
    if (up.reorder_queue == 0) break;
    if (!delivery.has_room(reserve)) {
      refund_wait(stage, context);
      drop_upstream(context, DropReason::no_buffer);
      return delivery.push(packet);
    }
    const std::uint32_t moved = delivery.skip_gap(session, reserve);
    // The packets that waited may have led up to this one, or past it: an unverified number proves
    // nothing.
    if (proves && context.sequence - moved == 1) break;
    if (!proves && window::distance(context.sequence, moved) <= 0) {
      drop_upstream(context, DropReason::gre_late);
      return delivery.push(packet);
    }
  }
  refund_wait(stage, context);
  if (proves) {
    // It goes on though others wait: not past those before it.
    while (up.reorder_queue != 0 && delivery.has_room(reserve)) {
      const std::uint32_t highest = up.highest_sequence.load(std::memory_order_relaxed);
      if (window::distance(stage.reorder.first(up, highest), context.sequence) >= 0) break;
      (void)delivery.skip_gap(session, reserve);
    }
    return delivery.deliver_unverified(packet, context);
  }
  window::advance(up, context.sequence, delivery.gaps());
  delivery.deliver(packet, context);
  delivery.deliver_waiting(up, reserve);
}

// Prefetches the queue in which packets of this one's session wait.
void prefetch_waiting(StageContext& stage, rte_mbuf* packet) noexcept {
  const PacketContext& context = context_of(packet);
  if (context.lane == Lane::kGre && context.session != nullptr)
    stage.reorder.prefetch(context.session->upstream);
}
constexpr std::size_t kPrefetchDistance = 4;  // packets

}  // namespace

void gre_in(Burst& burst, StageContext& stage) noexcept {
  std::array<rte_mbuf*, Burst::kReceive> received;
  const std::size_t count = std::min<std::size_t>(burst.count, received.size());
  std::copy_n(burst.packets.begin(), count, received.begin());
  burst.count = 0;
  Delivery delivery(burst, stage);
  const bool some_wait = !stage.reorder.empty();
  for (std::size_t i = 0; i < count; ++i) {
    rte_mbuf* packet = received[i];
    if (some_wait && i + kPrefetchDistance < count)
      prefetch_waiting(stage, received[i + kPrefetchDistance]);
    PacketContext& context = context_of(packet);
    if (context.lane != Lane::kGre) {
      delivery.push(packet);
      continue;
    }
    const std::size_t reserve = count - i;  // this one and those behind it
    const Bytes data = Bytes(octets_of(packet)).subspan(context.payload_at);
    if (const DropReason why = wire::check_gre(data); why != DropReason::kNone) {
      drop(context, why);
      delivery.push(packet);
      continue;
    }
    const wire::GreHeader gre = wire::read_gre(data);
    SessionRecord* const found = find_session(stage, context, OurCallId(gre.call_id));
    if (found == nullptr) {
      delivery.push(packet);
      continue;
    }
    SessionRecord& session = *found;
    UpstreamState& up = session.upstream;
    context.generation = session.generation.load(std::memory_order_relaxed);
    if (gre.has_ack) take_ack(stage, session, gre.ack);
    up.last_receive_ns.store(stage.now_ns, std::memory_order_relaxed);
    if (!gre.has_sequence) {
      context.lane = Lane::kConsumed;
      delivery.push(packet);
      continue;
    }
    const bool mppe = decrypts(session);
    if (mppe) rte_prefetch0(&up.mppe);
    prefetch_rates(session);
    const std::uint32_t before = up.highest_sequence.load(std::memory_order_relaxed);
    // A packet that waits only because a burst was full has been received.
    if (up.reorder_queue != 0 && gre.sequence - before == 1 &&
        stage.reorder.holds(up, gre.sequence)) {
      drop_upstream(context, DropReason::gre_duplicate);
      delivery.push(packet);
      continue;
    }
    auto verdict = window::accept(up, gre.sequence, mppe, delivery.gaps());
    if (!verdict) {
      drop_upstream(context, verdict.error());
      delivery.push(packet);
      continue;
    }
    context.sequence = gre.sequence;
    narrow(packet, context.payload_at + gre.size(), gre.payload_length);
    switch (*verdict) {
      case window::Verdict::kNext:
        if (up.reorder_queue != 0 && gre.sequence - before != 1) drop_waiting(stage, session);
        delivery.deliver(packet, context);
        if (up.reorder_queue != 0) delivery.deliver_waiting(up, reserve);
        break;
      case window::Verdict::kAhead:
        take_early(stage, delivery, packet, context, reserve);
        break;
      case window::Verdict::kFar:
        if (mppe) context.flags |= kPacketUnverified;
        delivery.pass_on(packet, context);
        break;
    }
  }
}

void release_reordered(Burst& burst, StageContext& stage) noexcept {
  Delivery delivery(burst, stage);
  while (delivery.has_room(1)) {
    const Reorder::Due due = stage.reorder.next_due(stage.now_ns);
    if (due.queue == 0) return;
    if (!stage.sessions.is_current(due.slot, due.generation)) {
      rte_mbuf* packet = nullptr;
      while (delivery.has_room(1) && (packet = stage.reorder.take_any(due.queue)) != nullptr) {
        PacketContext& context = context_of(packet);
        context.session = nullptr;
        drop(context, DropReason::no_session);
        delivery.push(packet);
      }
      continue;
    }
    SessionRecord& session = *stage.sessions.record(due.slot);
    delivery.deliver_waiting(session.upstream, 1);
    while (delivery.has_room(1) && stage.reorder.is_due(due, stage.now_ns))
      (void)delivery.skip_gap(session, 1);
  }
}

void confirm_sequence(StageContext& stage, PacketContext& context) noexcept {
  refund_wait(stage, context);
  SessionRecord& session = *context.session;
  UpstreamState& up = session.upstream;
  const std::uint32_t before = up.highest_sequence.load(std::memory_order_relaxed);
  const std::int32_t ahead = window::distance(context.sequence, before);
  schedule_ack(stage, session, context.slot);
  if (ahead <= 0) return;
  std::uint64_t gaps = 0;
  window::confirm(up, context.sequence, gaps);
  if (gaps != 0) stage.counters.sequence_gaps.add(gaps);
  if (up.reorder_queue == 0) return;
  if (static_cast<std::uint32_t>(ahead) > Reorder::kSpan) return drop_waiting(stage, session);
  drop_passed(stage, session, before);
  if (stage.reorder.holds(up, context.sequence + 1)) stage.reorder.mark_due(up);
}

}  // namespace pns::dataplane
