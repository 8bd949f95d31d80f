// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/worker.hpp"

#include <rte_branch_prediction.h>

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
#include "dataplane/session/session_commands.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/ppp.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;
using contract::SessionRecord;

constexpr std::uint64_t kHousekeepingNs = 1'000'000;
// Stand-alone acknowledgements of one housekeeping, in bursts: 256,000 a second.
constexpr unsigned kMaxAckBursts = 8;
constexpr std::array kRoles = {PortRole::kAccess, PortRole::kCore};

constexpr std::size_t index_of(PortRole role) noexcept { return static_cast<std::size_t>(role); }

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

// A plain list of packets on the stack.
struct PacketList {
  std::array<rte_mbuf*, Burst::kCapacity> packets;
  unsigned count = 0;
  void add(rte_mbuf* packet) noexcept { packets[count++] = packet; }
  [[nodiscard]] std::span<rte_mbuf*> span() noexcept { return {packets.data(), count}; }
};

// Moves the packets of the first one's `key` into the list, in order; the others close up to the
// front. Result: how many are left.
template <class Key>
std::size_t take_group(std::span<rte_mbuf*> packets, Key key, PacketList& group) noexcept {
  const auto first = key(packets.front());
  std::size_t left = 0;
  for (rte_mbuf* packet : packets) {
    if (key(packet) == first)
      group.add(packet);
    else
      packets[left++] = packet;
  }
  return left;
}

void** as_objects(rte_mbuf** packets) noexcept { return reinterpret_cast<void**>(packets); }

// Takes a burst out of a ring that may be null. False: there was nothing.
bool dequeue(rte_ring* ring, Burst& burst) noexcept {
  if (ring == nullptr) return false;
  burst.count = static_cast<std::uint16_t>(
      rte_ring_sc_dequeue_burst(ring, as_objects(burst.packets.data()), Burst::kReceive, nullptr));
  return burst.count != 0;
}

bool ring_waits(const rte_ring* ring) noexcept {
  return ring != nullptr && rte_ring_empty(ring) == 0;
}

// So many sixteenths of the ring to the control process, of a ring of 1,024 at least.
std::uint32_t control_burst(const WorkerConfig& config, std::uint32_t sixteenths) noexcept {
  const rte_ring* const ring = config.to_main[static_cast<std::size_t>(MainRing::kControl)];
  return std::max(1024U, ring == nullptr ? 0U : rte_ring_get_capacity(ring)) / 16 * sixteenths;
}

// Whether a frame that the kernel sends out of the access port belongs into a tunnel: an answer of
// this host to a subscriber, whose way the kernel does not know. It comes from an address that
// subscribers reach. TCP 1723 and GRE are of the outer network.
bool answers_subscriber(const StageContext& stage, Bytes frame) noexcept {
  const auto header = wire::parse_ethernet(frame);
  if (!header) return false;
  const NextHops& inner = stage.routing.inner;
  const auto is_ours = [&](const auto& source) {
    return inner.get(inner.lookup(source)).kind == NextHopKind::kLocal;
  };
  const Bytes packet = frame.subspan(wire::kEthernetHeaderSize);
  if (header->type.host() == wire::kEtherTypeIpv6) {
    const auto ip = wire::parse_ipv6(packet);
    return ip && is_ours(ip->source);
  }
  const auto ip = wire::parse_ipv4(packet);
  if (header->type.host() != wire::kEtherTypeIpv4 || !ip || ip->protocol == wire::kIpProtocolGre)
    return false;
  const bool from_listener =
      ip->protocol == wire::kIpProtocolTcp && !ip->is_fragment() &&
      packet.size() >= ip->header_length + sizeof(std::uint16_t) &&
      load_be<std::uint16_t>(packet.data() + ip->header_length) == wire::pptp::kTcpPort;
  return !from_listener && is_ours(ip->source);
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
      sorts_(config_.one_device || std::ranges::any_of(config_.ports,
                                                       [](const WorkerConfig::Port& port) {
                                                         return port.vlan.count != 0;
                                                       })),
      ports_(settings_of(config_)),
      acks_(sessions.memory().sessions()),
      reassembly_(config_.reassembly),
      reorder_(config_.reorder),
      gaps_(config_.gaps),
      send_window_(config_.send_window),
      mppe_(config_.mppe),
      stage_{.sessions = sessions,
             .routing = routing,
             .counters = counters_,
             .acks = acks_,
             .reassembly = reassembly_,
             .reorder = reorder_,
             .gaps = gaps_,
             .send_window = send_window_,
             .mppe = mppe_,
             .deferred = deferred_,
             .ports = ports_,
             .pool = config_.pool,
             .self = config_.id,
             .workers = config_.worker_count,
             .icmp_source = config_.icmp_source,
             .control_of_setups = {StageContext::kSetUpFrames, control_burst(config_, 10)},
             .control_of_open = {StageContext::kOpenFrames, control_burst(config_, 5)},
             .key_steps = KeyStepBudget(config_.gaps.step_ns),
             .icmp_source_ipv6 = config_.icmp_source_ipv6} {
  stage_.filters = config_.filters;
  if (config_.broadcasts.networks != nullptr)
    stage_.broadcasts = &broadcasts_.emplace(config_.broadcasts);
  for (std::size_t i = 0; i < ahead_.size(); ++i)
    ahead_[i].resize(config_.ports[i].rx_queues.size());
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
  for (std::vector<Ahead>& port : ahead_)
    for (Ahead& ahead : port) rte_pktmbuf_free_bulk(ahead.packets.data(), ahead.count);
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
  for (const PortRole role : kRoles) receive(role);
  if (now_ns - housekeeping_ns_ >= kHousekeepingNs) {
    housekeeping_ns_ = now_ns;
    release_held_packets(now_ns);
    release_window_packets(now_ns);
    expire_fragments(now_ns);
    send_due_acks(now_ns);
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
  for (const std::vector<Ahead>& port : ahead_)
    for (const Ahead& ahead : port) waits |= ahead.count != 0;
  return waits;
}

void Worker::before_sleep() noexcept {
  rte_rcu_qsbr_thread_offline(&sessions_.quiescence(), config_.id.value);
}

void Worker::after_sleep() noexcept {
  rte_rcu_qsbr_thread_online(&sessions_.quiescence(), config_.id.value);
}

std::uint64_t Worker::next_deadline_ns(std::uint64_t now_ns) const noexcept {
  const std::uint64_t due =
      std::min({acks_.next_due_ns(), reorder_.next_due_ns(), gaps_.next_due_ns(),
                send_window_.next_due_ns(), broadcasts_ ? broadcasts_->next_due_ns() : UINT64_MAX});
  if (due == UINT64_MAX) return due;
  return due > now_ns ? due - now_ns : 0;
}

// The way of a burst, all of it. Each stage handles the packets in its lane and leaves the others.
void Worker::run_from(Stage first, Burst& burst) noexcept {
  switch (first) {
    case Stage::kGreIn:
      gre_in(burst, stage_);
      fetch_ahead();
      [[fallthrough]];
    case Stage::kPppIn:
      ppp_in(burst, stage_);
      fetch_ahead();
      [[fallthrough]];
    case Stage::kMppeOpen:
      mppe_open(burst, stage_);
      ipv4_in(burst, stage_);
      if (burst.has_ipv6) ipv6_in(burst, stage_);
      if (stage_.filters != nullptr) filter_upstream(burst, stage_);
      fetch_ahead();
      [[fallthrough]];
    case Stage::kForward:
      forward_ipv4(burst, stage_);
      if (burst.has_ipv6) forward_ipv6(burst, stage_);
      fetch_ahead();
      [[fallthrough]];
    case Stage::kIpv4Out:
      if (!goes_downstream(burst)) break;
      ipv4_out(burst, stage_);
      if (burst.has_ipv6) ipv6_out(burst, stage_);
      fetch_ahead();
      mppe_seal(burst, stage_);
      ppp_out(burst, stage_);
      fetch_ahead();
      [[fallthrough]];
    case Stage::kGreOut:
      gre_out(burst, stage_);
      fetch_ahead();
  }
  finish(burst);
}

void Worker::receive(PortRole role) noexcept {
  for (std::size_t queue = 0; queue < config_.ports[index_of(role)].rx_queues.size(); ++queue) {
    Burst burst;
    take(role, queue, burst);
    if (burst.count == 0) continue;
    result_.packets += burst.count;
    if (sorts_) [[unlikely]]
      sort(role, burst);
    else
      enter(role, burst);
    fetching_ = nullptr;
  }
}

void Worker::take(PortRole role, std::size_t queue, Burst& burst) noexcept {
  RxQueue& from = config_.ports[index_of(role)].rx_queues[queue];
  Ahead& ahead = ahead_[index_of(role)][queue];
  if (ahead.count != 0) {
    std::copy_n(ahead.packets.begin(), ahead.count, burst.packets.begin());
    burst.count = std::exchange(ahead.count, std::uint16_t{0});
  } else {
    burst.count = from.rx_burst(std::span(burst.packets).first(Burst::kReceive));
  }
  // Frames of a TAP have just been copied by this core.
  if (burst.count != Burst::kReceive || from.fd() >= 0) return;
  ahead.count = from.rx_burst(ahead.packets);
  ahead.fetched = 0;
  fetching_ = &ahead;
  fetching_from_ = role;
}

void Worker::fetch_ahead() noexcept {
  constexpr unsigned kAtOnce = Burst::kReceive / 4;  // as often as it is called for a burst
  if (fetching_ == nullptr) return;
  const auto end = std::min<unsigned>(fetching_->count, fetching_->fetched + kAtOnce);
  for (; fetching_->fetched < end; ++fetching_->fetched)
    prefetch_frame(fetching_->packets[fetching_->fetched], fetching_from_);
}

void Worker::enter(PortRole role, Burst& burst) noexcept {
  contract::PortCounters& port = counters_.ports[index_of(role)];
  for (const rte_mbuf* packet : burst.all()) prefetch_frame(packet, role);
  std::uint64_t octets = 0;
  for (const rte_mbuf* packet : burst.all()) octets += packet->pkt_len;
  port.rx_packets.add(burst.count);
  port.rx_bytes.add(octets);
  classify(burst, role, stage_);
  if (role == PortRole::kCore) fetch_ahead();
  run_from(role == PortRole::kAccess ? Stage::kGreIn : Stage::kIpv4Out, burst);
  follow_up();
}

// Frames with tags of no port are counted as the access port's where both ports are one device.
void Worker::sort(PortRole role, Burst& received) noexcept {
  std::array<Burst, contract::kPorts> frames;
  Burst strangers;
  for (rte_mbuf* packet : received.all()) {
    if (const auto port = port_of(role, packet)) {
      (void)frames[index_of(*port)].append(packet);
      continue;
    }
    contract::PortCounters& counters = counters_.ports[index_of(role)];
    counters.rx_packets.add(1);
    counters.rx_bytes.add(packet->pkt_len);
    PacketContext& context = context_of(packet);
    context = PacketContext{};
    context.port = role;
    drop(context, DropReason::vlan_unknown);
    (void)strangers.append(packet);
  }
  for (const PortRole each : kRoles)
    if (frames[index_of(each)].count != 0) enter(each, frames[index_of(each)]);
  if (strangers.count != 0) finish(strangers);
}

std::optional<PortRole> Worker::port_of(PortRole role, rte_mbuf* packet) noexcept {
  const auto vlan_of = [this](PortRole port) -> const VlanTags& {
    return config_.ports[index_of(port)].vlan;
  };
  const FrameTags tags = read_tags(packet);
  if (!tags.are(vlan_of(role))) {
    if (!config_.one_device || !tags.are(vlan_of(PortRole::kCore))) return std::nullopt;
    role = PortRole::kCore;
  } else if (config_.one_device && tags.are(vlan_of(PortRole::kCore))) {
    strip_tags(packet, tags);
    return port_of_frame(stage_, octets_of(packet));
  }
  strip_tags(packet, tags);
  return role;
}

std::span<rte_mbuf*> Worker::tag(const VlanTags& tags, std::span<rte_mbuf*> packets) noexcept {
  std::size_t tagged = 0;
  for (rte_mbuf* packet : packets) {
    if (insert_tags(packet, tags)) {
      packets[tagged++] = packet;
    } else {
      count_drops(DropReason::no_headroom, 1);
      rte_pktmbuf_free(packet);
    }
  }
  return packets.first(tagged);
}

// Sends what the received packets have made due at once.
void Worker::follow_up() noexcept {
  if (reorder_.has_marked()) release_held_packets(stage_.now_ns);
  send_urgent_acks();
  if (send_window_.has_ready()) release_window_packets(stage_.now_ns);
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
  for (rte_mbuf* packet : commands.all()) execute(packet, frames);
  run_from(Stage::kIpv4Out, frames);
}

void Worker::execute(rte_mbuf* packet, Burst& frames) noexcept {
  const WorkerCommand command = command_of(packet);
  if (command.type == WorkerCommandType::kSendFrame)
    return send_frame(packet, command.port, frames);
  if (command.type == WorkerCommandType::kInjectFrame)
    return inject(packet, command.slot, command.generation, frames);
  if (sessions_.is_current(command.slot, command.generation)) {
    SessionRecord& session = *sessions_.record(command.slot);
    switch (command.type) {
      case WorkerCommandType::kConfigureLink:
        configure_link(session, command.body.configure_link);
        break;
      case WorkerCommandType::kArmMppe:
        gaps_.on_new_keys(session.upstream);
        arm_mppe(session, command.body.arm_mppe);
        break;
      case WorkerCommandType::kDisarmMppe:
        gaps_.on_new_keys(session.upstream);
        disarm_mppe(session);
        break;
      case WorkerCommandType::kOpenIpv4:
        open_ipv4(session, command.body.open_ipv4);
        break;
      case WorkerCommandType::kCloseIpv4:
        close_ipv4(session);
        break;
      case WorkerCommandType::kOpenIpv6:
        open_ipv6(session, command.body.open_ipv6);
        break;
      case WorkerCommandType::kCloseIpv6:
        close_ipv6(session);
        break;
      case WorkerCommandType::kSetNetworks:
        set_networks(session, command.body.set_networks);
        break;
      case WorkerCommandType::kSetService:
        set_service(session, command.body.set_service);
        break;
      case WorkerCommandType::kInjectFrame:
      case WorkerCommandType::kSendFrame:
      default:
        break;
    }
  }
  if (command.type == WorkerCommandType::kArmMppe) {
    wipe_command(packet);
    wipe({reinterpret_cast<std::byte*>(const_cast<WorkerCommand*>(&command)), sizeof(command)});
  }
  rte_pktmbuf_free(packet);
}

void Worker::inject(rte_mbuf* packet, SlotId slot, std::uint32_t generation,
                    Burst& frames) noexcept {
  counters_.injected.add(1);
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  context.flags = kPacketInjected | kPacketTtlDone | kPacketNoIcmp;
  (void)frames.append(packet);
  if (!sessions_.is_current(slot, generation)) return drop(context, DropReason::no_session);
  SessionRecord& session = *sessions_.record(slot);
  attach(context, slot, session);
  const auto header = wire::parse_ppp(octets_of(packet));
  if (!header) return drop_downstream(context, header.error());
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(header->size()));
  context.ppp_protocol = header->protocol;
  // Network data is encrypted where the session encrypts; control protocols never are.
  const bool network =
      header->protocol >= mppe::kFirstProtocol && header->protocol <= mppe::kLastProtocol;
  context.lane = network ? Lane::kSeal : Lane::kPppOut;
}

void Worker::send_frame(rte_mbuf* packet, PortRole port, Burst& frames) noexcept {
  counters_.injected.add(1);
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  context.port = index_of(port) < contract::kPorts ? port : PortRole::kAccess;
  context.lane = Lane::kTransmit;
  (void)frames.append(packet);
  // An outer address may be a subscriber's inner one too, and is not his for that.
  if (context.port == PortRole::kAccess && !answers_subscriber(stage_, octets_of(packet))) return;
  if (const ForSubscriber found = subscriber_of(sessions_, stage_.routing.inner, octets_of(packet));
      found) {
    rte_pktmbuf_adj(packet, wire::kEthernetHeaderSize);
    attach(context, found.session.slot, *found.session.session);
    context.lane = found.lane;
  }
}

void Worker::take_from_twins() noexcept {
  for (const PortRole role : kRoles) {
    Burst received;
    if (!dequeue(config_.ports[index_of(role)].from_twin, received)) continue;
    result_.packets += received.count;
    Burst frames;
    for (rte_mbuf* packet : received.all()) send_frame(packet, role, frames);
    run_from(Stage::kIpv4Out, frames);
  }
}

// Packets of the kernel's to subscribers. It has decremented the TTL of those that it forwards.
void Worker::take_from_services() noexcept {
  Burst packets;
  if (!dequeue(config_.from_services, packets)) return;
  result_.packets += packets.count;
  counters_.injected.add(packets.count);
  for (rte_mbuf* packet : packets.all()) {
    PacketContext& context = context_of(packet);
    context = PacketContext{};
    context.flags = kPacketTtlDone | kPacketFromHost;
    const ForSubscriber found =
        subscriber_of_packet(sessions_, stage_.routing.inner, octets_of(packet));
    if (!found) {
      drop(context, DropReason::no_session);
      continue;
    }
    attach(context, found.session.slot, *found.session.session);
    context.lane = found.lane;
  }
  run_from(Stage::kIpv4Out, packets);
}

void Worker::take_handed_over() noexcept {
  for (std::size_t i = 0; i < config_.worker_count; ++i) {
    Burst burst;
    if (!dequeue(config_.handover_in[i], burst)) continue;
    result_.packets += burst.count;
    counters_.handed_in.add(burst.count);
    for (rte_mbuf* packet : burst.all()) {
      rte_prefetch0(packet);
      rte_prefetch0(rte_mbuf_to_priv(packet));
    }
    for (rte_mbuf* packet : burst.all()) {
      const PacketContext& context = context_of(packet);
      rte_prefetch0(rte_pktmbuf_mtod(packet, const std::byte*));
      if (context.session != nullptr)
        prefetch_downstream(*context.session);
      else if (const SessionRecord* const likely = sessions_.record(context.slot))
        context.resume == Lane::kSubscriber ? prefetch_downstream(*likely)
                                            : prefetch_upstream(*likely);
    }
    for (rte_mbuf* packet : burst.all()) {
      PacketContext& context = context_of(packet);
      context.lane = context.resume;
      // It waited in a ring: the session may have ended.
      if (context.resume == Lane::kSubscriber) {
        context.session = sessions_.record(context.slot);
        context.generation = context.session->generation.load(std::memory_order_relaxed);
      }
      if (context.session != nullptr && !sessions_.is_current(context.slot, context.generation)) {
        context.session = nullptr;
        drop(context, DropReason::no_session);
      }
    }
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

void Worker::send_due_acks(std::uint64_t now_ns) noexcept {
  for (unsigned round = 0; round < kMaxAckBursts; ++round)
    if (!send_due_ack_burst(now_ns)) return;
}

// False: nothing more is due.
bool Worker::send_due_ack_burst(std::uint64_t now_ns) noexcept {
  Burst burst;
  if (acks_.next_due_ns() > now_ns) return false;
  acks_.prefetch_next(Burst::kReceive);
  while (acks_.next_due_ns() <= now_ns && burst.count < Burst::kReceive) {
    const std::optional<SlotId> popped = acks_.pop();
    if (!popped) continue;
    const SlotId slot = *popped;
    SessionRecord& session = *sessions_.record(slot);
    if (!session.ack_pending) continue;
    if (session.upstream.ack_due_ns > now_ns) {
      acks_.arm(slot, session.upstream.ack_due_ns);
      continue;
    }
    rte_mbuf* packet = make_ack(stage_, slot, session);
    if (packet == nullptr) {
      acks_.arm(slot, now_ns + kAckDelayNs);
      break;
    }
    (void)burst.append(packet);
  }
  const bool more = burst.count == Burst::kReceive;
  if (burst.count == 0) return false;
  counters_.generated.add(burst.count);
  run_from(Stage::kGreOut, burst);
  return more;
}

void Worker::send_urgent_acks() noexcept {
  const auto urgent = acks_.urgent();
  if (urgent.empty()) return;
  Burst burst;
  for (const SlotId slot : urgent) {
    SessionRecord& session = *sessions_.record(slot);
    if (!session.ack_pending || session.upstream.unacked_packets < kAdvertisedWindow / 2)
      continue;  // data took it along
    if (rte_mbuf* packet = make_ack(stage_, slot, session); packet != nullptr)
      (void)burst.append(packet);
  }
  acks_.clear_urgent();
  if (burst.count == 0) return;
  counters_.generated.add(burst.count);
  run_from(Stage::kGreOut, burst);
}

void Worker::release_held_packets(std::uint64_t now_ns) noexcept {
  while (reorder_.next_due_ns() <= now_ns) {
    Burst burst;
    release_reordered(burst, stage_);
    if (burst.count == 0) return;
    result_.packets += burst.count;
    run_from(Stage::kPppIn, burst);
  }
}

void Worker::release_window_packets(std::uint64_t now_ns) noexcept {
  while (send_window_.has_ready() || send_window_.next_due_ns() <= now_ns) {
    Burst burst;
    std::uint64_t timeouts = 0;
    const std::size_t taken =
        send_window_.take_ready(std::span(burst.packets).first(Burst::kReceive),
                                sessions_.memory().sessions(), now_ns, timeouts);
    counters_.window_timeouts.add(timeouts);
    if (taken == 0) return;
    burst.count = static_cast<std::uint16_t>(taken);
    result_.packets += burst.count;
    for (rte_mbuf* packet : burst.all()) {
      PacketContext& context = context_of(packet);
      context.flags |= kPacketReleased;
      if (sessions_.is_current(context.slot, context.generation)) continue;
      context.session = nullptr;
      drop(context, DropReason::no_session);
    }
    run_from(Stage::kGreOut, burst);
  }
}

void Worker::expire_fragments(std::uint64_t now_ns) noexcept {
  if (reassembly_.enabled()) count_drops(DropReason::outer_fragment, reassembly_.expire(now_ns));
}

void Worker::transmit(PortRole role, std::span<rte_mbuf*> packets) noexcept {
  contract::PortCounters& counters = counters_.ports[index_of(role)];
  if (const VlanTags& tags = config_.ports[index_of(role)].vlan; tags.count != 0) [[unlikely]]
    packets = tag(tags, packets);
  std::uint64_t octets = 0;
  for (const rte_mbuf* packet : packets) octets += packet->pkt_len;
  const std::uint16_t sent = config_.ports[index_of(role)].tx_queue.tx_burst(packets);
  const auto left = packets.subspan(sent);
  if (unlikely(!left.empty())) {
    for (const rte_mbuf* packet : left) octets -= packet->pkt_len;
    count_drops(DropReason::tx_full, left.size());
    rte_pktmbuf_free_bulk(left.data(), static_cast<unsigned>(left.size()));
  }
  counters.tx_packets.add(sent);
  counters.tx_bytes.add(octets);
}

std::size_t Worker::push(rte_ring* ring, Doorbell* doorbell, std::span<rte_mbuf*> packets,
                         DropReason otherwise) noexcept {
  const auto wanted = static_cast<unsigned>(packets.size());
  const unsigned pushed = ring == nullptr ? 0
                                          : rte_ring_sp_enqueue_burst(
                                                ring, as_objects(packets.data()), wanted, nullptr);
  if (pushed != 0 && doorbell != nullptr) doorbell->ring();
  if (unlikely(pushed != wanted)) {
    count_drops(otherwise, wanted - pushed);
    rte_pktmbuf_free_bulk(packets.data() + pushed, wanted - pushed);
  }
  return pushed;
}

void Worker::count_drops(DropReason reason, std::uint64_t count) noexcept {
  counters_.drops[static_cast<std::size_t>(reason)].add(count);
}

void Worker::hand_over(std::span<rte_mbuf*> packets) noexcept {
  while (!packets.empty()) {
    const WorkerId owner = context_of(packets.front()).worker;
    // All packets that are handed over in one burst came from one port.
    const std::size_t port = index_of(context_of(packets.front()).port);
    PacketList mine;
    const std::size_t left = take_group(
        packets, [](rte_mbuf* packet) { return context_of(packet).worker.value; }, mine);
    const bool known = owner.value < config_.worker_count;
    const std::size_t pushed = push(known ? config_.handover_out[owner.value] : nullptr,
                                    known ? config_.worker_doorbells[owner.value] : nullptr,
                                    mine.span(), DropReason::handover_full);
    counters_.handed_out.add(pushed);
    counters_.ports[port].handed_out.add(pushed);
    packets = packets.first(left);
  }
}

void Worker::punt(PortRole role, std::span<rte_mbuf*> packets) noexcept {
  const WorkerConfig::Port& port = config_.ports[index_of(role)];
  while (!packets.empty()) {
    const auto punt_class = static_cast<std::size_t>(context_of(packets.front()).punt_class);
    PacketList mine;
    packets = packets.first(take_group(
        packets, [](rte_mbuf* packet) { return context_of(packet).punt_class; }, mine));
    const std::size_t pushed =
        push(port.punt[punt_class].ring, port.twin_doorbell, mine.span(), DropReason::punt_full);
    counters_.ports[index_of(role)].punted.add(pushed);
    counters_.punt_classes[punt_class].passed.add(pushed);
  }
}

void Worker::resolve(PortRole role, std::span<rte_mbuf*> packets) noexcept {
  const auto ring_of = [](rte_mbuf* packet) {
    return (context_of(packet).flags & kPacketForGateway) != 0 ? MainRing::kGateways
                                                               : MainRing::kNeighbours;
  };
  while (!packets.empty()) {
    const MainRing ring = ring_of(packets.front());
    PacketList mine;
    packets = packets.first(take_group(packets, ring_of, mine));
    counters_.ports[index_of(role)].punted.add(push(config_.to_main[static_cast<std::size_t>(ring)],
                                                    config_.main_doorbell, mine.span(),
                                                    DropReason::punt_full));
  }
}

// Nearly all bursts leave whole, by one port. False: this one does not.
bool Worker::finish_at_once(Burst& burst) noexcept {
  if (burst.count == 0) return true;
  const PortRole port = context_of(burst.packets[0]).port;
  for (rte_mbuf* packet : burst.all()) {
    const PacketContext& context = context_of(packet);
    if (context.lane != Lane::kTransmit || context.port != port) return false;
  }
  transmit(port, burst.all());
  burst.count = 0;
  return true;
}

void Worker::finish(Burst& burst) noexcept {
  if (finish_at_once(burst)) return;
  std::array<PacketList, contract::kPorts> sent;
  std::array<PacketList, contract::kPorts> punted;
  std::array<PacketList, contract::kPorts> unresolved;
  PacketList control;
  PacketList handed;
  PacketList freed;
  unsigned consumed = 0;
  for (rte_mbuf* packet : burst.all()) {
    const PacketContext& context = context_of(packet);
    const std::size_t port = index_of(context.port);
    switch (context.lane) {
      case Lane::kTransmit:
        sent[port].add(packet);
        break;
      case Lane::kPunt:
        punted[port].add(packet);
        break;
      case Lane::kResolve:
        unresolved[port].add(packet);
        break;
      case Lane::kControl:
        control.add(packet);
        break;
      case Lane::kHandOver:
        handed.add(packet);
        break;
      case Lane::kRelay:
        if (broadcasts_ && broadcasts_->take(packet, stage_.now_ns)) break;
        count_drops(DropReason::broadcast_queue_full, 1);
        freed.add(packet);
        break;
      case Lane::kConsumed:
        ++consumed;
        freed.add(packet);
        break;
      case Lane::kDrop:
        count_drops(context.drop, 1);
        freed.add(packet);
        break;
      default:  // a stage left it behind
        count_drops(DropReason::internal, 1);
        freed.add(packet);
        break;
    }
  }
  burst.count = 0;
  for (const PortRole role : kRoles) {
    const std::size_t port = index_of(role);
    if (sent[port].count != 0) transmit(role, sent[port].span());
    if (punted[port].count != 0) punt(role, punted[port].span());
    if (unresolved[port].count != 0) resolve(role, unresolved[port].span());
  }
  if (control.count != 0)
    counters_.punted_control.add(push(config_.to_main[static_cast<std::size_t>(MainRing::kControl)],
                                      config_.main_doorbell, control.span(),
                                      DropReason::punt_full));
  if (handed.count != 0) hand_over(handed.span());
  if (consumed != 0) counters_.consumed.add(consumed);
  if (freed.count != 0) rte_pktmbuf_free_bulk(freed.packets.data(), freed.count);
}

}  // namespace pns::dataplane
