// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/collector.hpp"

#include <fmt/format.h>
#include <prometheus/exposer.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

#include "controlplane/metrics/metric_families.hpp"
#include "pns/log/log.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// `per_second`: how many units of `bounds` make a second.
template <std::size_t kBounds>
MetricFamily histogram(std::string name, std::string help,
                       const std::array<std::int64_t, kBounds>& bounds, double per_second,
                       const std::array<model::Count, kBounds>& buckets, std::int64_t count,
                       double sum_s) {
  MetricFamily f = family(std::move(name), std::move(help), MetricType::Histogram);
  ClientMetric metric;
  std::int64_t cumulative = 0;
  for (std::size_t i = 0; i < kBounds; ++i) {
    cumulative += buckets[i].get();
    metric.histogram.bucket.push_back(
        {static_cast<std::uint64_t>(cumulative), static_cast<double>(bounds[i]) / per_second});
  }
  const auto total = static_cast<std::uint64_t>(count);
  metric.histogram.bucket.push_back({total, std::numeric_limits<double>::infinity()});
  metric.histogram.sample_count = total;
  metric.histogram.sample_sum = sum_s;
  f.metric.push_back(std::move(metric));
  return f;
}

MetricFamily histogram(std::string name, std::string help, const model::TimeHistogram& times) {
  return histogram(std::move(name), std::move(help), model::kTimeBoundsMs, 1e3, times.buckets,
                   times.count.get(), static_cast<double>(times.sum_ms.get()) / 1e3);
}

MetricFamily histogram(std::string name, std::string help, const model::TurnTimes& turns) {
  return histogram(std::move(name), std::move(help), model::kTurnBoundsUs, 1e6, turns.buckets,
                   turns.count.get(), static_cast<double>(turns.sum_ns.get()) / 1e9);
}

constexpr std::array<std::string_view, contract::kPorts> kPortNames = {"access", "core"};

void add_worker_families(std::vector<MetricFamily>& out, const contract::SessionMemory& memory) {
  const auto& header = memory.header();
  const std::size_t count = std::min<std::size_t>(
      header.worker_count.load(std::memory_order_relaxed), contract::kMaxWorkers);
  const auto workers = memory.workers().first(count);

  auto rx_packets =
      family("pns_port_receive_packets_total", "Frames taken from a port", MetricType::Counter);
  auto rx_bytes = family("pns_port_receive_bytes_total", "Bytes of frames taken from a port",
                         MetricType::Counter);
  auto tx_packets =
      family("pns_port_transmit_packets_total", "Frames a port accepted", MetricType::Counter);
  auto tx_bytes = family("pns_port_transmit_bytes_total", "Bytes of frames a port accepted",
                         MetricType::Counter);
  auto punts = family("pns_punts_total", "Packets handed to the kernel twin or the control process",
                      MetricType::Counter);
  auto classes =
      family("pns_punt_class_frames_total",
             "Frames for the kernel, by class and what became of them", MetricType::Counter);
  auto answers = family("pns_neighbour_answers_total",
                        "Answers to ARP and Neighbor Solicitations for addresses of subscribers",
                        MetricType::Counter);
  auto broadcasts = family("pns_broadcasts_relayed_total",
                           "IPv4 broadcasts relayed: up, of subscribers into the core network; "
                           "down, of the core network",
                           MetricType::Counter);
  auto copies = family("pns_broadcast_copies_total", "Copies of broadcasts made for subscribers",
                       MetricType::Counter);
  auto shaped = family("pns_shaped_packets_total",
                       "Packets that waited for the rate of their session", MetricType::Counter);
  auto packets = family("pns_tunnel_packets_total", "Inner packets carried, by direction",
                        MetricType::Counter);
  auto bytes = family("pns_tunnel_bytes_total", "Bytes of inner IP carried, by direction",
                      MetricType::Counter);
  auto drops = family("pns_dataplane_drops_total", "Packets dropped, by direction and reason",
                      MetricType::Counter);
  auto port_handovers = family("pns_port_handover_packets_total",
                               "Frames taken from a port and handed to the worker that owns their "
                               "session",
                               MetricType::Counter);
  auto handovers =
      family("pns_handover_packets_total", "Packets handed between workers", MetricType::Counter);
  auto acks = family("pns_gre_acks_total", "Stand-alone acknowledgements", MetricType::Counter);
  auto gaps =
      family("pns_gre_sequence_gaps_total", "GRE sequence numbers never seen", MetricType::Counter);
  auto steps =
      family("pns_mppe_key_steps_total", "Extra key changes because of gaps", MetricType::Counter);
  auto waited = family("pns_gre_reordered_packets_total",
                       "GRE packets that waited for an earlier one", MetricType::Counter);
  auto reassembled = family("pns_outer_reassembled_packets_total",
                            "Outer packets put together out of fragments", MetricType::Counter);
  auto window =
      family("pns_gre_window_events_total",
             "Packets that waited for the peer's window, and its time-outs", MetricType::Counter);
  auto polls = family("pns_worker_polls_total", "Turns of the poll loop", MetricType::Counter);
  auto busy = family("pns_worker_busy_cycles_total", "TSC cycles of turns that found packets",
                     MetricType::Counter);
  auto other = family("pns_worker_frames_total", "Frames made or ended in the dataplane",
                      MetricType::Counter);

  for (std::size_t i = 0; i < count; ++i) {
    const auto& w = workers[i];
    const std::string id = std::to_string(i);
    for (std::size_t p = 0; p < contract::kPorts; ++p) {
      const Labels labels = {{"port", std::string(kPortNames[p])}, {"worker", id}};
      add(rx_packets, labels, w.ports[p].rx_packets.get());
      add(rx_bytes, labels, w.ports[p].rx_bytes.get());
      add(tx_packets, labels, w.ports[p].tx_packets.get());
      add(tx_bytes, labels, w.ports[p].tx_bytes.get());
      add(port_handovers, labels, w.ports[p].handed_out.get());
      add(punts, {{"to", fmt::format("kernel_{}", kPortNames[p])}, {"worker", id}},
          w.ports[p].punted.get());
    }
    add(punts, {{"to", "control"}, {"worker", id}}, w.punted_control.get());
    for (std::size_t c = 0; c < kPuntClassCount; ++c) {
      const std::string name(kPuntClasses[c].name);
      add(classes, {{"class", name}, {"result", "passed"}, {"worker", id}},
          w.punt_classes[c].passed.get());
      add(classes, {{"class", name}, {"result", "policed"}, {"worker", id}},
          w.punt_classes[c].policed.get());
    }
    add(answers, {{"worker", id}}, w.neighbour_answers.get());
    add(broadcasts, {{"direction", "up"}, {"worker", id}}, w.broadcasts_up.get());
    add(broadcasts, {{"direction", "down"}, {"worker", id}}, w.broadcasts_down.get());
    add(copies, {{"worker", id}}, w.broadcast_copies.get());
    add(shaped, {{"worker", id}}, w.shaped.get());
    add(packets, {{"direction", "upstream"}, {"worker", id}}, w.upstream_packets.get());
    add(packets, {{"direction", "downstream"}, {"worker", id}}, w.downstream_packets.get());
    add(bytes, {{"direction", "upstream"}, {"worker", id}}, w.upstream_bytes.get());
    add(bytes, {{"direction", "downstream"}, {"worker", id}}, w.downstream_bytes.get());
    for (std::size_t reason = 1; reason < contract::kDropReasonRoom; ++reason) {
      const std::uint64_t dropped = w.drops[reason].get();
      if (dropped == 0 && !contract::has_drop_reason(header, reason)) continue;
      const auto label = contract::drop_reason_label(header, reason);
      add(drops,
          {{"direction", std::string(label.direction)}, {"reason", label.name}, {"worker", id}},
          dropped);
    }
    add(handovers, {{"direction", "out"}, {"worker", id}}, w.handed_out.get());
    add(handovers, {{"direction", "in"}, {"worker", id}}, w.handed_in.get());
    add(acks, {{"direction", "sent"}, {"worker", id}}, w.acks_sent.get());
    add(acks, {{"direction", "received"}, {"worker", id}}, w.acks_received.get());
    add(gaps, {{"worker", id}}, w.sequence_gaps.get());
    add(steps, {{"worker", id}}, w.mppe_key_steps.get());
    add(waited, {{"worker", id}}, w.reordered.get());
    add(reassembled, {{"worker", id}}, w.reassembled.get());
    add(window, {{"event", "wait"}, {"worker", id}}, w.window_waits.get());
    add(window, {{"event", "timeout"}, {"worker", id}}, w.window_timeouts.get());
    add(polls, {{"result", "idle"}, {"worker", id}}, w.idle_polls.get());
    add(polls, {{"result", "busy"}, {"worker", id}}, w.polls.get() - w.idle_polls.get());
    add(busy, {{"worker", id}}, w.busy_cycles.get());
    add(other, {{"kind", "injected"}, {"worker", id}}, w.injected.get());
    add(other, {{"kind", "generated"}, {"worker", id}}, w.generated.get());
    add(other, {{"kind", "consumed"}, {"worker", id}}, w.consumed.get());
  }
  // Main is no worker. A worker has counted packets for neighbours as handed to the kernel before;
  // broadcasts are copies of what the kernel has.
  for (const DropReason reason :
       {DropReason::neighbour_unanswered, DropReason::neighbour_queue_full,
        DropReason::broadcast_limited, DropReason::broadcast_queue_full})
    add(drops,
        {{"direction", "both"}, {"reason", std::string(name_of(reason))}, {"worker", "main"}},
        header.main_drops[static_cast<std::size_t>(reason)].get());
  for (auto* f : {&rx_packets, &rx_bytes,    &tx_packets,     &tx_bytes, &punts,   &classes,
                  &answers,    &broadcasts,  &copies,         &shaped,   &packets, &bytes,
                  &drops,      &handovers,   &port_handovers, &acks,     &gaps,    &steps,
                  &waited,     &reassembled, &window,         &polls,    &busy,    &other})
    out.push_back(std::move(*f));
}

void add_port_loss_families(std::vector<MetricFamily>& out, const contract::SessionMemory& memory) {
  auto receive = family("pns_port_receive_lost_packets_total",
                        "Packets lost before a worker saw them, by port, reason and, where the "
                        "source has it, receive queue",
                        MetricType::Counter);
  auto transmit = family("pns_port_transmit_lost_packets_total",
                         "Packets that a port took for sending and lost", MetricType::Counter);
  auto events = family("pns_port_events_total",
                       "Events of a port that tell of losses and are no packets of their own",
                       MetricType::Counter);
  auto device = family("pns_port_device_counter_total",
                       "Counters of the device, driver or interface under their own names; they "
                       "may count what is in the other families once more",
                       MetricType::Counter);
  for (std::size_t p = 0; p < contract::kPorts; ++p) {
    const auto& losses = memory.header().port_losses[p];
    const std::string port(kPortNames[p]);
    contract::for_each_loss(
        losses, [&](std::optional<std::size_t> queue, PortLoss loss, std::uint64_t count) {
          const PortLossInfo& info = info_of(loss);
          const bool event = info.kind == PortLossKind::kEvent;
          Labels labels = {{"port", port}, {event ? "event" : "reason", std::string(info.name)}};
          if (queue) labels.push_back({"queue", std::to_string(*queue)});
          add(event                                 ? events
              : info.kind == PortLossKind::kReceive ? receive
                                                    : transmit,
              std::move(labels), count);
        });
    contract::for_each_device_counter(losses, [&](std::string_view name, std::uint64_t count) {
      add(device, {{"port", port}, {"counter", std::string(name)}}, count);
    });
  }
  for (auto* f : {&receive, &transmit, &events, &device}) out.push_back(std::move(*f));
}

void add_control_families(std::vector<MetricFamily>& out, const model::Statistics& s) {
  out.push_back(single("pns_connections", "Control connections open", MetricType::Gauge,
                       s.connections.get()));
  out.push_back(single("pns_connections_accepted_total", "Control connections accepted",
                       MetricType::Counter, s.connections_accepted.get()));
  auto connection_ends = family("pns_connection_ends_total", "Control connections ended, by reason",
                                MetricType::Counter);
  auto call_ends = family("pns_call_ends_total", "Calls ended or refused, by stage and reason",
                          MetricType::Counter);
  for (std::size_t i = 1; i < kEndReasonCount; ++i) {
    const std::string stage(kEndReasons[i].stage);
    const std::string reason(kEndReasons[i].name);
    add(connection_ends, {{"reason", reason}}, s.connection_ends[i].get());
    add(call_ends, {{"reason", reason}, {"stage", stage}}, s.call_ends[i].get());
  }
  out.push_back(std::move(connection_ends));
  out.push_back(std::move(call_ends));

  out.push_back(single("pns_sources", "Source addresses that are known to the limits per source",
                       MetricType::Gauge, s.sources.get()));
  out.push_back(single("pns_sources_forgotten_total",
                       "Source addresses without a connection that gave way to others",
                       MetricType::Counter, s.sources_forgotten.get()));
  auto limited = family("pns_source_limited_total",
                        "Times that a source address was held back, by limit", MetricType::Counter);
  for (std::size_t i = 0; i < model::kSourceLimits; ++i)
    add(limited, {{"limit", std::string(model::kSourceLimitNames[i])}}, s.source_limited[i].get());
  out.push_back(std::move(limited));

  auto by_kind = family("pns_calls", "Calls installed now, by kind", MetricType::Gauge);
  auto calls = family("pns_calls_total", "Calls installed, by kind", MetricType::Counter);
  for (std::size_t i = 0; i < model::kCallKinds; ++i) {
    const std::string kind(model::name_of(static_cast<model::CallKind>(i)));
    add(by_kind, {{"kind", kind}}, s.sessions_by_kind[i].get());
    add(calls, {{"kind", kind}}, s.calls_by_kind[i].get());
  }
  out.push_back(std::move(by_kind));
  out.push_back(std::move(calls));
  auto wan_errors =
      family("pns_wan_errors_total", "Line errors that PACs told of in WAN-Error-Notify, by type",
             MetricType::Counter);
  for (std::size_t i = 0; i < model::WanErrors::kCount; ++i)
    add(wan_errors, {{"type", std::string(model::WanErrors::kNames[i])}}, s.wan_errors[i].get());
  out.push_back(std::move(wan_errors));

  auto messages = family("pns_control_messages_total",
                         "PPTP control messages, by direction and type", MetricType::Counter);
  for (std::size_t type = 1; type < s.messages_received.size(); ++type) {
    const std::string name(wire::pptp::name_of(static_cast<wire::pptp::ControlMessageType>(type)));
    add(messages, {{"direction", "received"}, {"type", name}}, s.messages_received[type].get());
    add(messages, {{"direction", "sent"}, {"type", name}}, s.messages_sent[type].get());
  }
  add(messages, {{"direction", "received"}, {"type", "malformed"}}, s.messages_received[0].get());
  out.push_back(std::move(messages));

  auto sessions = family("pns_sessions", "Sessions, by phase of their PPP link", MetricType::Gauge);
  for (std::size_t phase = 0; phase < model::kLinkPhases; ++phase)
    add(sessions, {{"phase", std::string(model::name_of(static_cast<model::LinkPhase>(phase)))}},
        s.sessions_by_phase[phase].get());
  out.push_back(std::move(sessions));
  auto setups =
      family("pns_setups_total", "Calls whose set-up reached a stage", MetricType::Counter);
  for (std::size_t stage = 0; stage < model::kSetupStages; ++stage)
    add(setups, {{"stage", std::string(model::kSetupStageNames[stage])}}, s.setups[stage].get());
  out.push_back(std::move(setups));

  auto steered = family("pns_calls_steered_total",
                        "Calls given to a worker, by what decided which one", MetricType::Counter);
  for (std::size_t by = 0; by < model::kSteeredBy; ++by)
    add(steered, {{"by", std::string(model::kSteeredByNames[by])}}, s.calls_steered[by].get());
  out.push_back(std::move(steered));
  auto ways = family("pns_port_steering", "1 for the way packets of a port find their worker",
                     MetricType::Gauge);
  for (std::size_t port = 0; port < contract::kPorts; ++port)
    for (std::size_t way = 0; way < contract::kSteeringWays; ++way)
      add(ways,
          {{"port", std::string(kPortNames[port])},
           {"way", std::string(contract::kSteeringWayNames[way])}},
          s.port_steering[port].get() == static_cast<std::int64_t>(way) ? 1 : 0);
  out.push_back(std::move(ways));

  out.push_back(
      histogram("pns_setup_duration_seconds", "Admission of a call to IPCP open", s.setup_time));
  out.push_back(histogram("pns_admission_wait_seconds", "Request for a call to its admission",
                          s.admission_wait));
  out.push_back(single("pns_admission_in_flight", "Calls admitted whose link is not open yet",
                       MetricType::Gauge, s.admission_in_flight.get()));
  out.push_back(single("pns_admission_waiting", "Requests for a call that wait for admission",
                       MetricType::Gauge, s.admission_waiting.get()));

  out.push_back(single("pns_draining", "1 while no new calls are taken", MetricType::Gauge,
                       s.draining.get()));
  out.push_back(single("pns_drain_calls_left", "Calls left while draining", MetricType::Gauge,
                       s.drain_calls_left.get()));

  auto auth = family("pns_auth_results_total", "Authentication results", MetricType::Counter);
  add(auth, {{"result", "accepted"}}, s.auth_accepted.get());
  add(auth, {{"result", "denied"}}, s.auth_denied.get());
  out.push_back(std::move(auth));
  auto delayed = family("pns_auth_delayed_total",
                        "Authentications held back before they are judged", MetricType::Counter);
  add(delayed, {{"reason", "failures_from_source"}}, s.auth_delayed.get());
  out.push_back(std::move(delayed));
  out.push_back(single("pns_auth_pending", "Authentications that wait for an answer",
                       MetricType::Gauge, s.auth_pending.get()));
  auto dhcpv6 = family("pns_dhcpv6_messages_total", "DHCPv6 messages of subscribers, by result",
                       MetricType::Counter);
  for (std::size_t i = 0; i < model::kDhcpv6Results; ++i)
    add(dhcpv6,
        {{"kind", std::string(model::kDhcpv6ResultInfos[i].kind)},
         {"result", std::string(model::kDhcpv6ResultInfos[i].name)}},
        s.dhcpv6[i].get());
  out.push_back(std::move(dhcpv6));
  out.push_back(single("pns_dataplane_attached", "1 while the dataplane is attached",
                       MetricType::Gauge, s.dataplane_attached.get()));
  out.push_back(single("pns_dataplane_attaches_total", "Times the dataplane was attached",
                       MetricType::Counter, s.dataplane_attaches.get()));
  out.push_back(single("pns_log_lines_lost_total",
                       "Log lines of the control process that nobody took", MetricType::Counter,
                       static_cast<std::int64_t>(log::lines_lost())));
  out.push_back(single("pns_store_failures_total",
                       "Turns of the event loop whose records could not be written",
                       MetricType::Counter, s.store_failures.get()));
  out.push_back(
      single("pns_store_transactions_total",
             "Turns of the event loop whose records were written, in one transaction each",
             MetricType::Counter, s.store_transactions.get()));
  out.push_back(single("pns_store_records_total", "Records written or erased in these transactions",
                       MetricType::Counter, s.store_records.get()));
  out.push_back(single("pns_store_failing", "1 while records of calls cannot be written",
                       MetricType::Gauge, s.store_failing.get()));
  out.push_back(histogram("pns_control_loop_turn_seconds",
                          "CPU time of one turn of the control process's event loop",
                          s.loop_turns));
  auto max_turn = family("pns_control_loop_turn_max_seconds",
                         "Longest turn of the last 30 to 60 seconds", MetricType::Gauge);
  add(max_turn, {}, static_cast<double>(s.loop_turns.max_ns.get()) / 1e9);
  out.push_back(std::move(max_turn));
  out.push_back(single("pns_control_memory_bytes", "Own memory of the control process",
                       MetricType::Gauge, s.memory_octets.get()));
  auto frames = family("pns_punted_frames_total", "PPP control frames that came from the dataplane",
                       MetricType::Counter);
  add(frames, {{"result", "handled"}},
      s.punted_frames_received.get() - s.punted_frames_stale.get());
  add(frames, {{"result", "stale"}}, s.punted_frames_stale.get());
  out.push_back(std::move(frames));
  out.push_back(single("pns_dead_data_paths_total",
                       "Times that no encrypted packet of a session could be decrypted for 5 s",
                       MetricType::Counter, s.dead_paths.get()));
}

}  // namespace

Collector::Collector(const contract::SessionMemory& memory, const model::Statistics& statistics,
                     std::function<std::vector<PoolUse>()> pools)
    : memory_(memory), statistics_(statistics), pools_(std::move(pools)) {}

std::vector<MetricFamily> Collector::Collect() const {
  std::vector<MetricFamily> out;
  auto build = family("pns_build_info", "Always 1; the build in its labels", MetricType::Gauge);
  add(build, {{"version", PNS_VERSION}, {"compiler", __VERSION__}}, 1);
  out.push_back(std::move(build));
  add_control_families(out, statistics_);
  add_worker_families(out, memory_);
  add_port_loss_families(out, memory_);

  const auto& header = memory_.header();
  out.push_back(
      single("pns_sessions_max", "Sessions that fit", MetricType::Gauge, header.max_sessions));
  auto starts =
      family("pns_plane_starts_total", "Processes started by the supervisor", MetricType::Counter);
  for (std::size_t i = 0; i < contract::kProcesses; ++i)
    add(starts, {{"plane", std::string(contract::kProcessNames[i])}},
        header.processes[i].starts.load(std::memory_order_relaxed));
  out.push_back(std::move(starts));
  auto channel = family("pns_channel_dropped_total",
                        "Messages between the planes that were refused", MetricType::Counter);
  add(channel, {{"kind", "event_ring_full"}}, header.channel_events_dropped.get());
  add(channel, {{"kind", "invalid_command"}}, header.channel_commands_invalid.get());
  out.push_back(std::move(channel));
  auto twin = family("pns_twin_frames_total", "Frames through the TAP twins", MetricType::Counter);
  add(twin, {{"direction", "to_kernel"}}, header.twin_to_kernel.get());
  add(twin, {{"direction", "from_kernel"}}, header.twin_from_kernel.get());
  add(twin, {{"direction", "dropped"}}, header.twin_dropped.get());
  out.push_back(std::move(twin));
  auto link = family("pns_port_link_up", "1: the device of the port has a link; 0: it has none",
                     MetricType::Gauge);
  for (std::size_t port = 0; port < contract::kPorts; ++port) {
    const auto state = static_cast<contract::PortLink>(header.port_link[port].get());
    if (state == contract::PortLink::kUnknown) continue;  // a lab's TAP, or an older dataplane
    add(link, {{"port", std::string(kPortNames[port])}}, state == contract::PortLink::kUp ? 1 : 0);
  }
  out.push_back(std::move(link));
  out.push_back(single("pns_routes", "Routes known to the dataplane", MetricType::Gauge,
                       header.routes.get()));
  out.push_back(single("pns_subscriber_networks",
                       "Networks behind subscribers that the dataplane leads to their sessions",
                       MetricType::Gauge, header.networks.get()));
  out.push_back(single("pns_neighbours", "Neighbours known to the dataplane", MetricType::Gauge,
                       header.neighbours.get()));
  out.push_back(single("pns_packet_buffers", "Packet buffers of the dataplane", MetricType::Gauge,
                       header.packet_buffers.get()));
  out.push_back(single("pns_packet_buffers_in_use",
                       "Packet buffers that are not free, those in receive rings included",
                       MetricType::Gauge, header.packet_buffers_in_use.get()));
  out.push_back(single("pns_neighbour_lost_packets_total",
                       "Packets given up while they waited for the address of a neighbour",
                       MetricType::Counter, header.neighbour_lost.get()));

  auto size = family("pns_pool_addresses", "Addresses of a pool", MetricType::Gauge);
  auto used =
      family("pns_pool_addresses_used", "Addresses of a pool that are leased", MetricType::Gauge);
  auto delegated = family("pns_pool_delegated_prefixes", "Prefixes of a pool that DHCPv6 delegates",
                          MetricType::Gauge);
  auto delegated_used =
      family("pns_pool_delegated_prefixes_used",
             "Such prefixes that sessions have, asked for or not", MetricType::Gauge);
  for (const PoolUse& pool : pools_()) {
    add(size, {{"pool", pool.name}}, pool.size);
    add(used, {{"pool", pool.name}}, pool.used);
    if (pool.delegated_size == 0) continue;
    add(delegated, {{"pool", pool.name}}, pool.delegated_size);
    add(delegated_used, {{"pool", pool.name}}, pool.delegated_used);
  }
  out.push_back(std::move(size));
  out.push_back(std::move(used));
  if (!delegated.metric.empty()) {
    out.push_back(std::move(delegated));
    out.push_back(std::move(delegated_used));
  }
  return out;
}

Endpoint::Endpoint(Ipv4Address address, std::uint16_t port,
                   std::vector<std::shared_ptr<prometheus::Collectable>> collectors)
    : collectors_(std::move(collectors)) {
  const std::string where = fmt::format("{}:{}", address.to_string(), port);
  try {
    exposer_ = std::make_unique<prometheus::Exposer>(where, 2);
  } catch (const std::exception& error) {
    throw std::runtime_error(fmt::format("metrics.listen {}: {}", where, error.what()));
  }
  for (const auto& collector : collectors_) exposer_->RegisterCollectable(collector);
}

Endpoint::~Endpoint() = default;

}  // namespace pns::metrics
