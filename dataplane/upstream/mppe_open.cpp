// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/upstream/mppe_open.hpp"

#include <rte_prefetch.h>

#include "dataplane/upstream/gre_in.hpp"
#include "dataplane/upstream/local_delivery.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

// A gap this small is always worked off at once.
constexpr unsigned kFreeSteps = 8;
// Larger ones: 200 packets a second, 64 at once, per session.
constexpr std::uint64_t kStepsCostNs = 5'000'000;
constexpr std::uint64_t kStepsBurstNs = 64 * kStepsCostNs;
// Reset-Requests: ten a second, five at once. A lost one is repeated with the next packet.
constexpr std::uint64_t kResetCostNs = 100'000'000;
constexpr std::uint64_t kResetBurstNs = 5 * kResetCostNs;

// Whether the session and the worker can pay for the key changes of a packet this far ahead.
bool may_step(StageContext& stage, SessionRecord& session, unsigned gap) noexcept {
  if (gap <= kFreeSteps) return true;
  if (!admit(session.upstream.key_steps_spent_ns, stage.now_ns, kStepsCostNs, kStepsBurstNs))
    return false;
  return gap <= mppe::kMaxKeySteps || stage.key_steps.admit_one(stage.now_ns);
}

// CCP Reset-Request without data (RFC 3078 §8.2, RFC 1962 §3).
void request_reset(Burst& burst, StageContext& stage, const PacketContext& context) noexcept {
  if (burst.full() ||
      !admit(context.session->upstream.reset_spent_ns, stage.now_ns, kResetCostNs, kResetBurstNs))
    return;
  rte_mbuf* request = rte_pktmbuf_alloc(stage.pool);
  if (request == nullptr) return;
  auto* octets = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(request, 4));
  octets[0] = wire::kCcpResetRequest;
  octets[1] = static_cast<std::uint8_t>(context.sequence);
  octets[2] = 0;
  octets[3] = 4;
  PacketContext& made = context_of(request);
  made = PacketContext{};
  attach(made, context.slot, *context.session);
  made.ppp_protocol = static_cast<std::uint16_t>(wire::PppProtocol::kCcp);
  made.lane = Lane::kPppOut;
  (void)burst.append(request);
  stage.counters.generated.add(1);
}

void open_one(Burst& burst, StageContext& stage, rte_mbuf* packet,
              PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  mppe::DirectionState& state = session.upstream.mppe;
  const MutableBytes octets = octets_of(packet);
  const auto gap = mppe::gap_of(state, octets);
  if (!gap) return drop_upstream(context, gap.error());
  if (*gap != 0 && state.mode == mppe::Mode::kStateless) {
    if (!may_step(stage, session, *gap)) return drop_upstream(context, DropReason::mppe_gap);
    stage.counters.mppe_key_steps.add(std::min(*gap, mppe::kMaxKeySteps));
  }
  const auto inner = mppe::open(state, octets);
  if (!inner) {
    if (inner.error() == DropReason::mppe_resync) request_reset(burst, stage, context);
    return drop_upstream(context, inner.error());
  }
  if ((context.flags & kPacketFarSequence) != 0) confirm_far_sequence(stage, context);

  const auto protocol = wire::parse_ppp_protocol(*inner);
  if (!protocol) return drop_upstream(context, DropReason::mppe_garbage);
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(octets.size() - inner->size()));
  if (protocol->is(wire::PppProtocol::kIpv4) && (flags & contract::kFlagIpv4Open) != 0)
    context.lane = Lane::kInner;
  else if (protocol->is(wire::PppProtocol::kIpv6) && (flags & contract::kFlagIpv6Open) != 0)
    context.lane = Lane::kInnerIpv6;
  else
    return refuse_network_data(stage, packet, context, flags, *protocol);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(protocol->size()));
}

}  // namespace

void mppe_open(Burst& burst, StageContext& stage) noexcept {
  const std::uint16_t count = burst.count;
  for (std::uint16_t i = 0; i < count; ++i) {
    const PacketContext& context = context_of(burst.packets[i]);
    if (context.lane == Lane::kMppe) rte_prefetch0(&context.session->upstream.mppe);
  }
  for (std::uint16_t i = 0; i < count; ++i) {
    PacketContext& context = context_of(burst.packets[i]);
    if (context.lane == Lane::kMppe) open_one(burst, stage, burst.packets[i], context);
  }
}

}  // namespace pns::dataplane
