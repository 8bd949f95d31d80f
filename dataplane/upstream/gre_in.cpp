// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/upstream/gre_in.hpp"

#include <rte_prefetch.h>

#include "dataplane/session/window.hpp"
#include "pns/wire/gre.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;
using contract::UpstreamState;

// Frame → session, or another fate. classify() has checked the outer header.
void find_session(StageContext& stage, rte_mbuf* packet, wire::GreHeader& header) noexcept {
  PacketContext& context = context_of(packet);
  const auto gre = wire::parse_gre(octets_of(packet).subspan(context.payload_at));
  if (!gre) return drop(context, gre.error());
  const OurCallId call(gre->call_id);
  const WorkerId owner = stage.sessions.owner(call);
  if (owner != stage.self) {
    context.lane = Lane::kHandOver;
    context.resume = Lane::kGre;
    context.worker = owner;
    return;
  }
  const FoundSession found = stage.sessions.find(context.destination, call);
  if (!found) return drop(context, DropReason::gre_unknown_call);
  rte_prefetch0(found.session);
  rte_prefetch0(&found.session->upstream);
  context.session = found.session;
  context.slot = found.slot;
  header = *gre;
}

void schedule_ack(StageContext& stage, UpstreamState& up, SlotId slot) noexcept {
  if (up.unacked_packets != UINT16_MAX) ++up.unacked_packets;
  if (!up.ack_pending) {
    up.ack_pending = true;
    up.ack_due_ns = stage.now_ns + kAckDelayNs;
    stage.acks.arm(slot, up.ack_due_ns);
  }
  if (up.unacked_packets >= kAdvertisedWindow / 2) stage.acks.hurry(slot);
}

// Notes an acknowledgement of something we sent; others are ignored.
void take_ack(StageContext& stage, SessionRecord& session, std::uint32_t ack) noexcept {
  UpstreamState& up = session.upstream;
  if (window::distance(ack, session.downstream.next_sequence) >= 0) return;
  if (up.ack_received && window::distance(ack, up.highest_ack_received) < 0) return;
  up.highest_ack_received = ack;
  up.ack_received = true;
  stage.counters.acks_received.add(1);
}

}  // namespace

void gre_in(Burst& burst, StageContext& stage) noexcept {
  std::array<wire::GreHeader, Burst::kReceive> headers;
  const std::size_t count = std::min<std::size_t>(burst.count, headers.size());
  for (std::size_t i = 0; i < count; ++i)
    if (context_of(burst.packets[i]).lane == Lane::kGre)
      find_session(stage, burst.packets[i], headers[i]);

  UpstreamRun run(&UpstreamState::gre_packets, &UpstreamState::gre_bytes);
  std::uint64_t gaps = 0;
  for (std::size_t i = 0; i < count; ++i) {
    rte_mbuf* packet = burst.packets[i];
    PacketContext& context = context_of(packet);
    if (context.lane != Lane::kGre) continue;
    SessionRecord& session = *context.session;
    UpstreamState& up = session.upstream;
    const wire::GreHeader& gre = headers[i];
    if (session.peer != context.source) {
      drop(context, DropReason::gre_wrong_peer);
      continue;
    }
    context.generation = session.generation.load(std::memory_order_relaxed);
    if (gre.has_ack) take_ack(stage, session, gre.ack);
    up.last_receive_ns.store(stage.now_ns, std::memory_order_relaxed);
    if (!gre.has_sequence) {
      context.lane = Lane::kConsumed;
      continue;
    }
    const bool mppe = up.mppe.mode != mppe::Mode::kOff;
    const auto verdict = window::accept(up, gre.sequence, mppe, gaps);
    if (!verdict) {
      drop_upstream(context, verdict.error());
      continue;
    }
    context.sequence = gre.sequence;
    if (*verdict == window::Verdict::kNext)
      schedule_ack(stage, up, context.slot);
    else if (mppe)
      context.flags |= kPacketFarSequence;
    run.add(&session, context.outer_length);

    rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(context.payload_at + gre.size()));
    rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(packet->data_len - gre.payload_length));
    context.lane = Lane::kPpp;
  }
  if (gaps != 0) stage.counters.sequence_gaps.add(gaps);
}

void confirm_far_sequence(StageContext& stage, const PacketContext& context) noexcept {
  UpstreamState& up = context.session->upstream;
  std::uint64_t gaps = 0;
  window::confirm(up, context.sequence, gaps);
  schedule_ack(stage, up, context.slot);
  if (gaps != 0) stage.counters.sequence_gaps.add(gaps);
}

}  // namespace pns::dataplane
