// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/upstream/mppe_open.hpp"

#include <rte_prefetch.h>

#include <algorithm>
#include <array>

#include "dataplane/mppe/mppe_engine.hpp"
#include "dataplane/upstream/gre_in.hpp"
#include "dataplane/upstream/local_delivery.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

// Key changes because of gaps: 12,800 a second, 4,096 at once, per session.
constexpr std::uint64_t kStepCostNs = 78'125;
constexpr std::uint64_t kStepBurstNs = 4'096 * kStepCostNs;
// Reset-Requests: ten a second, five at once. A lost one is repeated with the next packet.
constexpr std::uint64_t kResetCostNs = 100'000'000;
constexpr std::uint64_t kResetBurstNs = 5 * kResetCostNs;

// The packets that go through the engine together.
struct Batch {
  explicit Batch(StageContext& of) noexcept : stage(of) {}

  StageContext& stage;  // whose mppe_jobs they are
  std::array<rte_mbuf*, MppeEngine::kMostJobs> packets;
  // What paid for key changes of a packet, and how many; null: nothing did.
  std::array<EventBucket*, MppeEngine::kMostJobs> purses;
  std::array<std::uint8_t, MppeEngine::kMostJobs> steps;
  unsigned count = 0;
};

// Explained: as many GRE numbers are missing before the packet as counts, or more.
EventBucket& purse_of(StageContext& stage, const PacketContext& context, unsigned gap) noexcept {
  return gap < context.sequence_advance ? stage.key_steps.explained : stage.key_steps.unexplained;
}

// Whether the session and the worker can pay for the key changes of a packet this far ahead.
bool may_step(void* of, const MppeJob& job, unsigned gap) noexcept {
  Batch& batch = *static_cast<Batch*>(of);
  StageContext& stage = batch.stage;
  const auto n = static_cast<std::size_t>(&job - stage.mppe_jobs.data());
  const PacketContext& context = context_of(batch.packets[n]);
  const unsigned steps = std::min(gap, mppe::kMaxKeySteps);
  std::uint64_t& spent = context.session->upstream.key_steps_spent_ns;
  if (!admit(spent, stage.now_ns, steps * kStepCostNs, kStepBurstNs,
             kStepBurstNs + mppe::kMaxKeySteps * kStepCostNs))
    return false;
  EventBucket& purse = purse_of(stage, context, gap);
  if (!purse.admit_some(steps, stage.now_ns)) return false;
  batch.purses[n] = &purse;
  batch.steps[n] = static_cast<std::uint8_t>(steps);
  stage.counters.mppe_key_steps.add(steps);
  return true;
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

// A packet that was opened: its inner protocol decides.
void take_inner(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                Bytes inner) noexcept {
  if ((context.flags & kPacketFarSequence) != 0) confirm_far_sequence(stage, context);
  const auto protocol = wire::parse_ppp_protocol(inner);
  if (!protocol) return drop_upstream(context, DropReason::mppe_garbage);
  const std::uint32_t flags = context.session->flags.load(std::memory_order_relaxed);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(packet->data_len - inner.size()));
  if (protocol->is(wire::PppProtocol::kIpv4) && (flags & contract::kFlagIpv4Open) != 0)
    context.lane = Lane::kInner;
  else if (protocol->is(wire::PppProtocol::kIpv6) && (flags & contract::kFlagIpv6Open) != 0)
    context.lane = Lane::kInnerIpv6;
  else
    return refuse_network_data(stage, packet, context, flags, *protocol);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(protocol->size()));
}

void open(Burst& burst, Batch& batch) noexcept {
  StageContext& stage = batch.stage;
  const MppeGapRule rule{may_step, &batch};
  std::fill_n(batch.purses.begin(), batch.count, nullptr);
  stage.mppe.run(std::span(stage.mppe_jobs).first(batch.count), &rule);
  for (unsigned n = 0; n < batch.count; ++n) {
    rte_mbuf* const packet = batch.packets[n];
    PacketContext& context = context_of(packet);
    const auto& result = stage.mppe_jobs[n].result;
    if (!result) {
      if (result.error() == DropReason::mppe_resync) request_reset(burst, stage, context);
      drop_upstream(context, result.error());
      continue;
    }
    if (batch.purses[n] != nullptr) batch.purses[n]->give_back(batch.steps[n]);
    take_inner(stage, packet, context, *result);
  }
  batch.count = 0;
}

// A stateful packet whose GRE number nobody vouches for and that says that others were lost. A
// forgery would make the session wait for a flushed packet; so it asks for one and waits for none.
bool is_doubtful_loss(Burst& burst, Batch& batch, rte_mbuf* packet) noexcept {
  const PacketContext& context = context_of(packet);
  const mppe::DirectionState& state = context.session->upstream.mppe;
  if (state.mode != mppe::Mode::kStateful) return false;
  const MutableBytes octets = octets_of(packet);
  if (octets.size() <= mppe::kHeaderSize) return false;
  const unsigned header =
      std::to_integer<unsigned>(octets[0]) << 8 | std::to_integer<unsigned>(octets[1]);
  if ((header & mppe::kFlushed) != 0) return false;
  // The count is known once what came before is opened.
  const auto before = std::span(batch.stage.mppe_jobs).first(batch.count);
  if (std::ranges::find(before, &state, &MppeJob::state) != before.end()) open(burst, batch);
  return (header & mppe::kCoherencyMask) != state.coherency;
}

}  // namespace

void mppe_open(Burst& burst, StageContext& stage) noexcept {
  const std::uint16_t count = burst.count;
  Batch batch(stage);
  for (std::uint16_t i = 0; i < count; ++i) {
    PacketContext& context = context_of(burst.packets[i]);
    if (context.lane != Lane::kMppe) continue;
    mppe::DirectionState& state = context.session->upstream.mppe;
    rte_prefetch0(&state);
    if ((context.flags & kPacketFarSequence) != 0 &&
        is_doubtful_loss(burst, batch, burst.packets[i])) {
      request_reset(burst, stage, context);
      drop_upstream(context, DropReason::mppe_resync);
      continue;
    }
    batch.packets[batch.count] = burst.packets[i];
    stage.mppe_jobs[batch.count++] = {&state, octets_of(burst.packets[i]), MppeWork::kOpen};
    if (batch.count == MppeEngine::kMostJobs) open(burst, batch);
  }
  if (batch.count != 0) open(burst, batch);
}

}  // namespace pns::dataplane
