// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/worker.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "dataplane/pipeline/classify.hpp"
#include "dataplane/pipeline/filter.hpp"
#include "dataplane/pipeline/forward.hpp"
#include "dataplane/pipeline/gre_in.hpp"
#include "dataplane/pipeline/gre_out.hpp"
#include "dataplane/pipeline/ipv4_in.hpp"
#include "dataplane/pipeline/ipv4_out.hpp"
#include "dataplane/pipeline/ipv6_in.hpp"
#include "dataplane/pipeline/ipv6_out.hpp"
#include "dataplane/pipeline/mppe_gap.hpp"
#include "dataplane/pipeline/mppe_open.hpp"
#include "dataplane/pipeline/mppe_seal.hpp"
#include "dataplane/pipeline/ppp_in.hpp"
#include "dataplane/pipeline/ppp_out.hpp"
#include "dataplane/pipeline/rate.hpp"
#include "dataplane/worker/command_execution.hpp"
#include "dataplane/worker/packet_sources.hpp"
#include "dataplane/worker/rings.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;
using contract::SessionRecord;

constexpr std::uint64_t kHousekeepingNs = 1'000'000;
// Stand-alone acknowledgements of one housekeeping, in bursts: 256,000 a second.
constexpr unsigned kMaxAckBursts = 8;
// Packets that have waited for a rate and leave in one turn, in bursts.
constexpr unsigned kMaxDepartingBursts = 8;

std::array<PortSettings, contract::kPorts> settings_of(const WorkerConfig& config) {
  std::array<PortSettings, contract::kPorts> settings;
  for (std::size_t i = 0; i < settings.size(); ++i) {
    const WorkerConfig::Port& port = config.ports[i];
    settings[i].mac = port.mac;
    constexpr auto kService = static_cast<std::size_t>(PuntClass::service);
    settings[i].has_twin = port.has_twin;
    for (std::size_t n = 0; n < port.punt.size(); ++n)
      settings[i].has_twin &= n == kService || port.punt[n].ring != nullptr;
    settings[i].has_services = port.punt[kService].ring != nullptr;
    settings[i].leads_to_host = port.leads_to_host;
    settings[i].mtu = port.mtu;
    std::ranges::transform(port.punt, settings[i].punt.begin(), [](const PuntQueue& queue) {
      return EventBucket(queue.rate, queue.burst);
    });
  }
  return settings;
}

// So many sixteenths of the ring to the control process, of a ring of 1,024 at least.
std::uint32_t control_burst(const WorkerConfig& config, std::uint32_t sixteenths) noexcept {
  const rte_ring* const ring = config.to_main[static_cast<std::size_t>(MainRing::kControl)];
  return std::max(1024U, ring == nullptr ? 0U : rte_ring_get_capacity(ring)) / 16 * sixteenths;
}

// Whether any packet has stages of the downstream half before it.
bool goes_downstream(const Burst& burst) noexcept {
  constexpr std::uint32_t kLanes = lane_bit(Lane::kSubscriber) | lane_bit(Lane::kDownstreamIpv4) |
                                   lane_bit(Lane::kDownstreamIpv6) | lane_bit(Lane::kSeal) |
                                   lane_bit(Lane::kPppOut) | lane_bit(Lane::kGreOut);
  return (burst.lanes() & kLanes) != 0;
}

}  // namespace

Worker::Worker(WorkerConfig config, SessionTable& sessions, RoutingTables routing)
    : config_(std::move(config)),
      sessions_(sessions),
      counters_(sessions.memory().workers()[config_.id.value]),
      ports_(settings_of(config_)),
      acks_(sessions.memory().sessions()),
      reassembly_(config_.reassembly),
      reorder_(config_.reorder),
      gaps_(config_.gaps),
      send_window_(config_.send_window),
      departures_(config_.rates.packets_in_all),
      groups_(config_.rate_groups),
      mppe_(config_.mppe),
      stage_{.sessions = sessions,
             .routing = routing,
             .counters = counters_,
             .acks = acks_,
             .reassembly = reassembly_,
             .reorder = reorder_,
             .gaps = gaps_,
             .send_window = send_window_,
             .departures = departures_,
             .groups = groups_,
             .mppe = mppe_,
             .deferred = deferred_,
             .ports = ports_,
             .pool = config_.pool,
             .self = config_.id,
             .workers = config_.worker_count,
             .rates = config_.rates,
             .icmp_source = config_.icmp_source,
             .control_of_setups = {StageContext::kSetUpFrames, control_burst(config_, 10)},
             .control_of_open = {StageContext::kOpenFrames, control_burst(config_, 5)},
             .key_steps = KeyStepBudget(config_.gaps.step_ns),
             .icmp_source_ipv6 = config_.icmp_source_ipv6},
      reception_(config_, stage_),
      outputs_(config_, stage_) {
  stage_.filters = config_.filters;
  if (config_.broadcasts.networks != nullptr)
    stage_.broadcasts = &broadcasts_.emplace(config_.broadcasts);
  (void)rte_rcu_qsbr_thread_register(&sessions_.quiescence(), config_.id.value);
  rte_rcu_qsbr_thread_online(&sessions_.quiescence(), config_.id.value);
  const auto records = sessions_.memory().sessions();
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    SessionRecord& session = records[i];
    if (session.state.load(std::memory_order_relaxed) != contract::SlotState::kInstalled ||
        sessions_.owner(session.our_call_id) != config_.id)
      continue;
    session.ack_listed = false;
    if (session.ack_pending) acks_.arm(SlotId(i), session.upstream.ack_due_ns);
  }
}

Worker::~Worker() {
  rte_pktmbuf_free_bulk(deferred_.packets.data(), deferred_.count);
  rte_rcu_qsbr_thread_offline(&sessions_.quiescence(), config_.id.value);
  (void)rte_rcu_qsbr_thread_unregister(&sessions_.quiescence(), config_.id.value);
}

PollResult Worker::poll_once(Tsc now, std::uint64_t now_ns) noexcept {
  if (last_poll_busy_) counters_.busy_cycles.add(now.cycles - last_poll_.cycles);
  last_poll_ = now;
  result_ = {};
  stage_.now_ns = now_ns;
  stage_.control_attached = config_.control_attached == nullptr ||
                            config_.control_attached->load(std::memory_order_relaxed);

  stage_.inline_steps = key_steps_in(kInlineStepsNs, config_.gaps.step_ns);

  take_commands();
  take_from_twins();
  take_from_services();
  take_handed_over();
  take_deferred();
  if (departures_.next_due_ns() <= now_ns) release_shaped_packets();
  for (const PortRole role : kPortRoles) receive(role);
  if (now_ns - housekeeping_ns_ >= kHousekeepingNs) {
    housekeeping_ns_ = now_ns;
    release_held_packets();
    release_window_packets();
    expire_fragments();
    send_due_acks();
  }
  follow_gaps();
  if (broadcasts_) [[unlikely]]
    relay_broadcasts();
  // An urgent acknowledgement is sent in the poll that asked for it. After the quiescent state the
  // slot may belong to another session, and to another worker.
  send_urgent_acks();

  counters_.polls.add(1);
  last_poll_busy_ = !result_.idle();
  if (!last_poll_busy_) counters_.idle_polls.add(1);
  rte_rcu_qsbr_quiescent(&sessions_.quiescence(), config_.id.value);
  return result_;
}

bool Worker::has_pending() const noexcept {
  bool waits = deferred_.count != 0 || ring_waits(config_.commands) ||
               ring_waits(config_.from_services) || ring_waits(config_.from_lan);
  for (const WorkerConfig::Port& port : config_.ports) waits |= ring_waits(port.from_twin);
  for (std::size_t i = 0; i < config_.worker_count; ++i)
    waits |= ring_waits(config_.handover_in[i]);
  return waits || reception_.has_pending();
}

void Worker::before_sleep() noexcept {
  rte_rcu_qsbr_thread_offline(&sessions_.quiescence(), config_.id.value);
}

void Worker::after_sleep() noexcept {
  rte_rcu_qsbr_thread_online(&sessions_.quiescence(), config_.id.value);
}

std::uint64_t Worker::next_deadline_ns(std::uint64_t now_ns) const noexcept {
  const std::uint64_t due = std::min(
      {acks_.next_due_ns(), reorder_.next_due_ns(), gaps_.next_due_ns(), send_window_.next_due_ns(),
       departures_.next_due_ns(), broadcasts_ ? broadcasts_->next_due_ns() : UINT64_MAX});
  if (due == UINT64_MAX) return due;
  return due > now_ns ? due - now_ns : 0;
}

// The way of a burst, all of it. Each stage handles the packets in its lane and leaves the others.
void Worker::run_from(Stage first, Burst& burst) noexcept {
  switch (first) {
    case Stage::kGreIn:
      gre_in(burst, stage_);
      reception_.fetch_ahead();
      [[fallthrough]];
    case Stage::kPppIn:
      ppp_in(burst, stage_);
      reception_.fetch_ahead();
      [[fallthrough]];
    case Stage::kMppeOpen:
      mppe_open(burst, stage_);
      ipv4_in(burst, stage_);
      if (burst.has_ipv6) ipv6_in(burst, stage_);
      if (stage_.filters != nullptr) filter_upstream(burst, stage_);
      if (stage_.packets_wait) hold_waiting(burst, stage_);
      reception_.fetch_ahead();
      [[fallthrough]];
    case Stage::kForward:
      forward_ipv4(burst, stage_);
      if (burst.has_ipv6) forward_ipv6(burst, stage_);
      reception_.fetch_ahead();
      [[fallthrough]];
    case Stage::kIpv4Out:
      if (!goes_downstream(burst)) break;
      ipv4_out(burst, stage_);
      if (burst.has_ipv6) ipv6_out(burst, stage_);
      if (stage_.packets_wait) hold_waiting(burst, stage_);
      reception_.fetch_ahead();
      mppe_seal(burst, stage_);
      ppp_out(burst, stage_);
      reception_.fetch_ahead();
      [[fallthrough]];
    case Stage::kGreOut:
      gre_out(burst, stage_);
      reception_.fetch_ahead();
  }
  finish(burst);
}

void Worker::receive(PortRole role) noexcept {
  for (std::size_t queue = 0; queue < reception_.queues(role); ++queue) {
    Burst burst;
    reception_.take(role, queue, burst);
    if (burst.count == 0) continue;
    result_.packets += burst.count;
    if (reception_.sorts()) [[unlikely]]
      enter_sorted(role, burst);
    else
      enter(role, burst);
    reception_.end_burst();
  }
}

void Worker::enter_sorted(PortRole role, Burst& burst) noexcept {
  Reception::Sorted sorted;
  reception_.sort(role, burst, sorted);
  for (const PortRole each : kPortRoles)
    if (sorted.frames[port_index(each)].count != 0) enter(each, sorted.frames[port_index(each)]);
  if (sorted.strangers.count != 0) finish(sorted.strangers);
}

void Worker::enter(PortRole role, Burst& burst) noexcept {
  contract::PortCounters& port = counters_.ports[port_index(role)];
  for (const rte_mbuf* packet : burst.all()) prefetch_frame(packet, role);
  std::uint64_t octets = 0;
  for (const rte_mbuf* packet : burst.all()) octets += packet->pkt_len;
  port.rx_packets.add(burst.count);
  port.rx_bytes.add(octets);
  classify(burst, role, stage_);
  if (role == PortRole::kCore) reception_.fetch_ahead();
  run_from(role == PortRole::kAccess ? Stage::kGreIn : Stage::kIpv4Out, burst);
  follow_up();
}

// Sends what the received packets have made due at once.
void Worker::follow_up() noexcept {
  if (reorder_.has_marked()) release_held_packets();
  send_urgent_acks();
  if (send_window_.has_ready()) release_window_packets();
}

void Worker::follow_gaps() noexcept {
  if (gaps_.empty()) return;
  Burst burst;
  result_.key_steps += dataplane::follow_gaps(burst, stage_);
  if (burst.count == 0) return;
  result_.packets += burst.count;
  run_from(Stage::kMppeOpen, burst);
  follow_up();
}

// Broadcasts that wait get a slice of a turn, however many packets come in.
void Worker::relay_broadcasts() noexcept {
  take_from_lan();
  Burst copies;
  result_.addresses += broadcasts_->copy(copies, stage_);
  if (copies.count == 0) return;
  result_.packets += copies.count;
  run_from(Stage::kIpv4Out, copies);
}

void Worker::take_from_lan() noexcept {
  Burst frames;
  if (!dequeue(config_.from_lan, frames)) return;
  result_.packets += frames.count;
  counters_.injected.add(frames.count);
  for (rte_mbuf* packet : frames.all()) {
    context_of(packet) = PacketContext{};
    context_of(packet).lane = Lane::kConsumed;
    relay_from_lan(stage_, octets_of(packet));
  }
  finish(frames);
}

void Worker::take_commands() noexcept {
  Burst commands;
  if (!dequeue(config_.commands, commands)) return;
  result_.commands += commands.count;
  Burst frames;
  for (rte_mbuf* packet : commands.all()) execute(stage_, packet, frames);
  run_from(Stage::kIpv4Out, frames);
}

void Worker::take_from_twins() noexcept {
  for (const PortRole role : kPortRoles) {
    Burst received;
    if (!dequeue(config_.ports[port_index(role)].from_twin, received)) continue;
    result_.packets += received.count;
    Burst frames;
    for (rte_mbuf* packet : received.all()) send_frame(stage_, packet, role, frames);
    run_from(Stage::kIpv4Out, frames);
  }
}

void Worker::take_from_services() noexcept {
  Burst packets;
  if (!dequeue(config_.from_services, packets)) return;
  result_.packets += packets.count;
  counters_.injected.add(packets.count);
  accept_from_services(packets, stage_);
  run_from(Stage::kIpv4Out, packets);
}

void Worker::take_handed_over() noexcept {
  for (std::size_t i = 0; i < config_.worker_count; ++i) {
    Burst burst;
    if (!dequeue(config_.handover_in[i], burst)) continue;
    result_.packets += burst.count;
    counters_.handed_in.add(burst.count);
    accept_handed_over(burst, stage_);
    run_from(Stage::kGreIn, burst);
    follow_up();
  }
}

void Worker::take_deferred() noexcept {
  if (deferred_.count == 0) return;
  Burst burst;
  std::copy_n(deferred_.packets.begin(), deferred_.count, burst.packets.begin());
  burst.count = std::exchange(deferred_.count, std::uint16_t{0});
  result_.packets += burst.count;
  counters_.generated.add(burst.count);
  run_from(Stage::kForward, burst);
}

void Worker::send_due_acks() noexcept {
  for (unsigned round = 0; round < kMaxAckBursts; ++round) {
    Burst burst;
    take_due_acks(burst, stage_);
    const bool more = burst.count == Burst::kReceive;
    if (burst.count == 0) return;
    counters_.generated.add(burst.count);
    run_from(Stage::kGreOut, burst);
    if (!more) return;
  }
}

void Worker::send_urgent_acks() noexcept {
  if (acks_.urgent().empty()) return;
  Burst burst;
  take_urgent_acks(burst, stage_);
  if (burst.count == 0) return;
  counters_.generated.add(burst.count);
  run_from(Stage::kGreOut, burst);
}

void Worker::release_held_packets() noexcept {
  while (reorder_.next_due_ns() <= stage_.now_ns) {
    Burst burst;
    release_reordered(burst, stage_);
    if (burst.count == 0) return;
    result_.packets += burst.count;
    run_from(Stage::kPppIn, burst);
  }
}

void Worker::release_window_packets() noexcept {
  while (send_window_.has_ready() || send_window_.next_due_ns() <= stage_.now_ns) {
    Burst burst;
    take_window_packets(burst, stage_);
    if (burst.count == 0) return;
    result_.packets += burst.count;
    run_from(Stage::kGreOut, burst);
  }
}

// Packets whose session's rate lets them leave. The rest of a long list waits for the next turn.
void Worker::release_shaped_packets() noexcept {
  for (unsigned n = 0; n < kMaxDepartingBursts; ++n) {
    Burst burst;
    take_departing(burst, stage_);
    if (burst.count == 0) return;
    result_.packets += burst.count;
    run_from(Stage::kForward, burst);
  }
}

void Worker::expire_fragments() noexcept {
  if (reassembly_.enabled())
    count_drops(counters_, DropReason::outer_fragment, reassembly_.expire(stage_.now_ns));
}

}  // namespace pns::dataplane
