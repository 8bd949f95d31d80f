// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/mppe_open.hpp"

#include <rte_prefetch.h>

#include <algorithm>
#include <array>

#include "dataplane/gre/sequence_window.hpp"
#include "dataplane/mppe/mppe_engine.hpp"
#include "dataplane/pipeline/gre_in.hpp"
#include "dataplane/pipeline/local_delivery.hpp"
#include "dataplane/pipeline/mppe_gap.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {
namespace {

// Reset-Requests: ten a second, five at once. A lost one is repeated with the next packet.
constexpr std::uint64_t kResetCostNs = 100'000'000;
constexpr std::uint64_t kResetBurstNs = 5 * kResetCostNs;

// A data path is dead when none of so many packets, over so long, opened.
constexpr std::uint16_t kDeadPathPackets = 8;
constexpr std::uint64_t kDeadPathNs = 5'000'000'000;

// The packets that go through the engine together.
struct Batch {
  Batch(Burst& from, StageContext& of) noexcept : burst(from), stage(of) {}

  Burst& burst;
  StageContext& stage;                                 // whose mppe_jobs they are
  std::array<std::uint16_t, MppeEngine::kMaxJobs> at;  // in the burst
  std::array<bool, MppeEngine::kMaxJobs> explained;    // MissingPackets::explained
  std::array<bool, MppeEngine::kMaxJobs> ambiguous;    // MissingPackets::ambiguous()
  std::array<bool, MppeEngine::kMaxJobs> deferred;     // too many key changes for now
  // The bucket that paid for key changes of a packet, and how many; null: none did.
  std::array<EventBucket*, MppeEngine::kMaxJobs> buckets;
  std::array<std::uint32_t, MppeEngine::kMaxJobs> steps;
  unsigned count = 0;
  bool held = false;  // packets have left the burst
};

// Whether the key changes of a packet behind a gap may be made within the burst.
bool may_step(void* of, const MppeJob& job, std::uint32_t steps) noexcept {
  Batch& batch = *static_cast<Batch*>(of);
  StageContext& stage = batch.stage;
  const auto n = static_cast<std::size_t>(&job - stage.mppe_jobs.data());
  batch.deferred[n] = true;
  const PacketContext& context = context_of(batch.burst.packets[batch.at[n]]);
  if (batch.ambiguous[n] || steps > stage.inline_steps || must_wait(stage, context)) return false;
  if (!admit_key_steps(context.session->upstream, stage.now_ns, steps)) return false;
  EventBucket& bucket =
      batch.explained[n] ? stage.key_steps.explained : stage.key_steps.unexplained;
  if (!bucket.admit_some(steps, stage.now_ns)) return false;
  batch.deferred[n] = false;
  batch.buckets[n] = &bucket;
  batch.steps[n] = steps;
  stage.inline_steps -= steps;
  stage.counters.mppe_key_steps.add(steps);
  return true;
}

void open_batch(Batch& batch) noexcept {
  StageContext& stage = batch.stage;
  const MppeGapRule rule{may_step, &batch};
  std::fill_n(batch.buckets.begin(), batch.count, nullptr);
  std::fill_n(batch.deferred.begin(), batch.count, false);
  stage.mppe.run(std::span(stage.mppe_jobs).first(batch.count), &rule);
  for (unsigned n = 0; n < batch.count; ++n) {
    rte_mbuf*& packet = batch.burst.packets[batch.at[n]];
    PacketContext& context = context_of(packet);
    const MppeJob& job = stage.mppe_jobs[n];
    if (job.result) {
      if (batch.buckets[n] != nullptr) batch.buckets[n]->refund(batch.steps[n]);
      take_inner(stage, packet, context, *job.result);
      continue;
    }
    // An ambiguous packet that did not open with the nearest count may do so farther on.
    const bool may_open_later =
        batch.deferred[n] || (batch.ambiguous[n] && job.result.error() == DropReason::mppe_garbage);
    if (may_open_later && hold_behind_gap(stage, packet, context, batch.explained[n])) {
      packet = nullptr;
      batch.held = true;
      continue;
    }
    if (job.result.error() == DropReason::mppe_resync) request_reset(batch.burst, stage, context);
    drop_unopened(batch.burst, stage, context, job.result.error());
  }
  batch.count = 0;
}

// Tells the control process, with an empty frame, that nothing of a session opens; once in
// kDeadPathNs.
void report_dead_path(Burst& burst, StageContext& stage, const PacketContext& context) noexcept {
  contract::UpstreamState& up = context.session->upstream;
  if (burst.full()) return;
  rte_mbuf* const report = rte_pktmbuf_alloc(stage.pool);
  if (report == nullptr) return;
  PacketContext& made = context_of(report);
  made = PacketContext{};
  attach(made, context.slot, *context.session);
  made.lane = Lane::kControl;
  made.flags =
      static_cast<std::uint16_t>(kPacketPathDead | (up.mppe.started ? kPacketOpenedOnce : 0));
  (void)burst.append(report);
  stage.counters.generated.add(1);
  up.failing_since_ns = stage.now_ns;
  up.unopened = 0;
}

bool is_flushed(Bytes packet) noexcept {
  return (std::to_integer<unsigned>(packet[0]) << 8 & mppe::kFlushed) != 0;
}

// A stateful packet that is not FLUSHED, says that others were lost, and has a GRE number that
// nothing vouches for. A forgery would make the session wait for a flushed packet; so the session
// asks for one and waits for none. True: the packet is dealt with.
bool take_unverified_loss(Batch& batch, std::uint16_t at) noexcept {
  rte_mbuf*& packet = batch.burst.packets[at];
  PacketContext& context = context_of(packet);
  contract::UpstreamState& up = context.session->upstream;
  const MutableBytes octets = octets_of(packet);
  if (up.mppe.mode != mppe::Mode::kStateful || octets.size() <= mppe::kHeaderSize ||
      is_flushed(octets))
    return false;
  // The count is known once the packets before it are opened.
  const auto before = std::span(batch.stage.mppe_jobs).first(batch.count);
  if (std::ranges::find(before, &up.mppe, &MppeJob::state) != before.end()) open_batch(batch);
  const MissingPackets missing = missing_before(up.mppe, context.sequence, octets);
  if (missing.late || missing.farthest == 0) return false;
  // A flushed packet before this one waits for its key.
  if (up.gap_entry != 0 && hold_behind_gap(batch.stage, packet, context, missing.explained)) {
    packet = nullptr;
    batch.held = true;
    return true;
  }
  request_reset(batch.burst, batch.stage, context);
  drop_unopened(batch.burst, batch.stage, context, DropReason::mppe_resync);
  return true;
}

}  // namespace

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

void take_inner(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                Bytes inner) noexcept {
  mppe::DirectionState& state = context.session->upstream.mppe;
  if (window::distance(context.sequence, state.gre_sequence) > 0)
    state.gre_sequence = context.sequence;
  if (state.failing) state.failing = false;
  if ((context.flags & kPacketUnverified) != 0) confirm_sequence(stage, context);
  const auto protocol = wire::parse_ppp_protocol(inner);
  if (!protocol) return drop_upstream(context, DropReason::mppe_garbage);
  const std::uint32_t flags = context.session->flags.load(std::memory_order_relaxed);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(packet->data_len - inner.size()));
  if (protocol->is(wire::PppProtocol::kIpv4) && (flags & contract::kFlagIpv4Open) != 0)
    context.lane = Lane::kInnerIpv4;
  else if (protocol->is(wire::PppProtocol::kIpv6) && (flags & contract::kFlagIpv6Open) != 0)
    context.lane = Lane::kInnerIpv6;
  else
    return refuse_network_data(stage, packet, context, flags, *protocol);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(protocol->size()));
}

void drop_unopened(Burst& burst, StageContext& stage, PacketContext& context,
                   DropReason reason) noexcept {
  drop_upstream(context, reason);
  contract::UpstreamState& up = context.session->upstream;
  if (up.mppe.mode == mppe::Mode::kOff) return;
  if (!up.mppe.failing) {
    up.mppe.failing = true;
    up.failing_since_ns = stage.now_ns;
    up.unopened = 0;
  }
  if (up.unopened != UINT16_MAX) ++up.unopened;
  if (up.unopened < kDeadPathPackets || stage.now_ns - up.failing_since_ns < kDeadPathNs) return;
  report_dead_path(burst, stage, context);
}

void mppe_open(Burst& burst, StageContext& stage) noexcept {
  const std::uint16_t count = burst.count;
  Batch batch(burst, stage);
  for (std::uint16_t i = 0; i < count; ++i) {
    rte_mbuf* const packet = burst.packets[i];
    PacketContext& context = context_of(packet);
    if (context.lane != Lane::kMppe) continue;
    mppe::DirectionState& state = context.session->upstream.mppe;
    rte_prefetch0(&state);
    if ((context.flags & kPacketUnverified) != 0 && take_unverified_loss(batch, i)) continue;
    const MutableBytes octets = octets_of(packet);
    MppeJob& job = stage.mppe_jobs[batch.count];
    job = {.state = &state, .packet = octets};
    batch.explained[batch.count] = batch.ambiguous[batch.count] = false;
    if (octets.size() > mppe::kHeaderSize) {
      const MissingPackets missing = missing_before(state, context.sequence, octets);
      if (missing.late) {
        drop_unopened(burst, stage, context, DropReason::mppe_gap);
        continue;
      }
      job.ahead = missing.nearest;
      job.certain = missing.ambiguous() || missing.far_number;
      batch.explained[batch.count] = missing.explained;
      batch.ambiguous[batch.count] = missing.ambiguous();
    }
    batch.at[batch.count++] = i;
    if (batch.count == MppeEngine::kMaxJobs) open_batch(batch);
  }
  if (batch.count != 0) open_batch(batch);
  if (batch.held) burst.compact();
}

}  // namespace pns::dataplane
