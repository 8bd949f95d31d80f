// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/render.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#ifdef PNS_CONTRACT_TRIAL
#include "controlplane/resume/records.hpp"
#endif
#include "controlplane/subscriber/session_id.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::management {
namespace {

using nlohmann::ordered_json;

constexpr std::uint64_t kLongestPlacing = 600;        // seconds
constexpr std::uint64_t kLongestDrain = 30 * 86'400;  // seconds

// Invalid UTF-8 is replaced, never thrown at.
std::string dump(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

template <class T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

std::string hex_of(const std::vector<std::byte>& octets) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const std::byte octet : octets) {
    out += kDigits[std::to_integer<unsigned>(octet) >> 4];
    out += kDigits[std::to_integer<unsigned>(octet) & 15];
  }
  return out;
}

// The terms of a session, behind its other fields.
void add_terms(ordered_json& out, const subscriber::TermsView& terms) {
  const subscriber::DirectionView& up = terms.up;
  const subscriber::DirectionView& down = terms.down;
  out["realm"] = terms.realm;
  out["pool"] = terms.pool;
  out["session_left_s"] = or_null(terms.session_left_s);
  out["idle_timeout_s"] = or_null(terms.idle_timeout_s);
  out["quota_left_bytes"] = or_null(terms.quota_left);
  out["rx_quota_left_bytes"] = or_null(up.quota_left);
  out["tx_quota_left_bytes"] = or_null(down.quota_left);
  out["rx_rate"] = or_null(up.rate);
  out["rx_burst_bytes"] = or_null(up.burst);
  out["tx_rate"] = or_null(down.rate);
  out["tx_burst_bytes"] = or_null(down.burst);
  out["rx_filter"] = up.filter;
  out["tx_filter"] = down.filter;
  out["interim_interval_s"] = or_null(terms.interim_interval_s);
  ordered_json classes = ordered_json::array();
  for (const auto& value : terms.classes) classes.push_back(hex_of(value));
  out["class"] = std::move(classes);
}

// Counters that are not zero, by name.
template <class Infos, class Counts>
ordered_json nonzero(const Infos& infos, const Counts& counts) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 1; i < infos.size(); ++i)
    if (const auto count = counts[i].get(); count != 0) out[std::string(infos[i].name)] = count;
  return out;
}

constexpr std::array<std::string_view, contract::kPorts> kPortNames = {"access", "core"};

ordered_json port_count(std::size_t port, std::optional<std::size_t> queue, std::string_view kind,
                        std::string_view counter, std::uint64_t count) {
  return {{"port", std::string(kPortNames[port])},
          {"queue", queue ? ordered_json(*queue) : ordered_json()},
          {"kind", std::string(kind)},
          {"counter", std::string(counter)},
          {"count", count}};
}

// Packets of each port, and those that its workers never saw or could not know of.
ordered_json port_sums(const contract::SessionMemory& memory) {
  ordered_json out = ordered_json::array();
  for (std::size_t port = 0; port < contract::kPorts; ++port) {
    const auto& losses = memory.header().port_losses[port];
    std::uint64_t rx = 0;
    std::uint64_t tx = 0;
    std::size_t receiving = 0;
    for (const auto& worker : memory.workers()) {
      const std::uint64_t received = worker.ports[port].rx_packets.get();
      rx += received;
      receiving += received != 0 ? 1 : 0;
      tx += worker.ports[port].tx_packets.get();
    }
    out.push_back({{"port", std::string(kPortNames[port])},
                   {"rx_packets", rx},
                   {"receiving_workers", receiving},
                   {"receive_lost", contract::sum_of(losses, PortLossKind::kReceive)},
                   {"tx_packets", tx},
                   {"transmit_lost", contract::sum_of(losses, PortLossKind::kTransmit)}});
  }
  return out;
}

// Frames for the kernel by class, of all workers and both ports.
ordered_json punt_classes(const contract::SessionMemory& memory) {
  ordered_json out = ordered_json::array();
  for (std::size_t i = 0; i < kPuntClassCount; ++i) {
    std::uint64_t passed = 0;
    std::uint64_t policed = 0;
    for (const auto& worker : memory.workers()) {
      passed += worker.punt_classes[i].passed.get();
      policed += worker.punt_classes[i].policed.get();
    }
    out.push_back(
        {{"class", std::string(kPuntClasses[i].name)}, {"passed", passed}, {"policed", policed}});
  }
  return out;
}

ordered_json broadcasts(const contract::SessionMemory& memory) {
  std::uint64_t up = 0;
  std::uint64_t down = 0;
  std::uint64_t copies = 0;
  for (const auto& worker : memory.workers()) {
    up += worker.broadcasts_up.get();
    down += worker.broadcasts_down.get();
    copies += worker.broadcast_copies.get();
  }
  return {{"up", up}, {"down", down}, {"copies", copies}};
}

// One row for each place at a port where something was lost.
ordered_json port_losses(const contract::SessionMemory& memory) {
  ordered_json out = ordered_json::array();
  for (std::size_t port = 0; port < contract::kPorts; ++port)
    contract::for_each_loss(
        memory.header().port_losses[port],
        [&](std::optional<std::size_t> queue, PortLoss loss, std::uint64_t count) {
          const PortLossInfo& info = info_of(loss);
          if (count != 0 && info.kind != PortLossKind::kEvent)
            out.push_back(port_count(port, queue, info.kind_name, info.name, count));
        });
  return out;
}

std::string_view name_of(contract::MppeKernelInfo::Variant variant) noexcept {
  using Variant = contract::MppeKernelInfo::Variant;
  switch (variant) {
    case Variant::kPortable:
      return "portable";
    case Variant::kAvx2:
      return "avx2";
    case Variant::kAvx512:
      return "avx512";
    case Variant::kUnknown:
      break;
  }
  return "";
}

// The form of RC4's tables by number of streams, and what was measured of both: TSC cycles a step.
struct MppeView {
  ordered_json forms = ordered_json::array();
  ordered_json bytes_step = ordered_json::array();
  ordered_json words_step = ordered_json::array();
};

MppeView view_of(const contract::MppeKernelInfo& info) {
  constexpr std::string_view kForms[] = {"", "bytes", "words", "both"};
  MppeView view;
  for (std::size_t n = 0; n < info.kStreams; ++n) {
    const unsigned form = info.forms[n].load(std::memory_order_relaxed) & 3U;
    if (form == 0) break;
    view.forms.push_back(kForms[form]);
    if (!info.measured.load(std::memory_order_relaxed)) continue;
    view.bytes_step.push_back(info.bytes_step[n].load(std::memory_order_relaxed) / 100.0);
    view.words_step.push_back(info.words_step[n].load(std::memory_order_relaxed) / 100.0);
  }
  return view;
}

}  // namespace

void JsonArray::append(std::string_view array) {
  const std::string_view items = array.substr(1, array.size() - 2);
  if (items.empty()) return;
  if (!empty()) text_ += ',';
  text_ += items;
}

std::string render_sessions(const std::vector<subscriber::SessionView>& sessions) {
  ordered_json out = ordered_json::array();
  for (const auto& s : sessions) {
    ordered_json wan_errors = ordered_json::object();
    for (std::size_t i = 0; i < model::WanErrors::kCount; ++i)
      wan_errors[std::string(model::WanErrors::kNames[i])] = s.wan_errors.counts[i];
    ordered_json routes = ordered_json::array();
    for (const Ipv4Prefix& network : s.networks.ipv4) routes.push_back(network.to_string());
    for (const Ipv6Prefix& network : s.networks.ipv6) routes.push_back(network.to_string());
    out.push_back({{"id", subscriber::to_text(s.id)},
                   {"slot", s.slot.value},
                   {"user", s.user},
                   {"claimed_user", s.claimed_user},
                   {"peer", s.peer.to_string()},
                   {"local", s.local.to_string()},
                   {"address", s.address.is_unspecified() ? "" : s.address.to_string()},
                   {"ipv6_prefix", s.ipv6_prefix ? s.ipv6_prefix->to_string() : ""},
                   {"delegated_prefix", s.delegated_prefix ? s.delegated_prefix->to_string() : ""},
                   {"routes", routes},
                   {"state", s.state},
                   {"kind", s.kind},
                   {"our_call_id", s.our_call_id.value},
                   {"peer_call_id", s.peer_call_id.value},
                   {"auth", s.auth},
                   {"mppe", s.mppe},
                   {"worker", s.worker},
                   {"connection", s.connection},
                   {"uptime_s", s.uptime_s},
                   {"idle_s", s.idle_s},
                   {"setup_ms", s.setup_ms},
                   {"mtu", s.mtu},
                   {"rx_packets", s.rx_packets},
                   {"rx_bytes", s.rx_bytes},
                   {"tx_packets", s.tx_packets},
                   {"tx_bytes", s.tx_bytes},
                   {"rx_drops", s.rx_drops},
                   {"tx_drops", s.tx_drops},
                   {"sequence_gaps", s.sequence_gaps},
                   {"wan_errors", wan_errors}});
    add_terms(out.back(), s.terms);
  }
  return dump(out);
}

std::string render_sources(const std::vector<subscriber::SourceLimits::View>& sources) {
  ordered_json out = ordered_json::array();
  for (const auto& s : sources) {
    ordered_json row = {{"source", s.source.to_string()},
                        {"exempt", s.exempt},
                        {"connections", s.connections},
                        {"idle_connections", s.idle_connections}};
    for (std::size_t i = 0; i < model::kSourceLimits; ++i)
      row["limited_" + std::string(model::kSourceLimitNames[i])] = s.limited[i];
    out.push_back(std::move(row));
  }
  return dump(out);
}

std::string render_connections(const std::vector<subscriber::ConnectionView>& connections) {
  ordered_json out = ordered_json::array();
  for (const auto& c : connections) {
    const auto calls = [&c](model::CallKind kind) {
      return c.calls_by_kind[static_cast<std::size_t>(kind)];
    };
    out.push_back({{"id", c.id},
                   {"peer", c.peer.to_string()},
                   {"peer_port", c.peer_port},
                   {"local", c.local.to_string()},
                   {"role", c.role},
                   {"state", c.state},
                   {"host_name", c.host_name},
                   {"vendor", c.vendor},
                   {"calls", c.calls},
                   {"subscriber_calls", calls(model::CallKind::kSubscriber)},
                   {"incoming_calls", calls(model::CallKind::kIncoming)},
                   {"placed_calls", calls(model::CallKind::kPlaced)},
                   {"uptime_s", c.uptime_s}});
  }
  return dump(out);
}

std::expected<subscriber::PlaceRequest, std::string> read_place_request(std::string_view text) {
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return std::unexpected("the request is no JSON object");
  subscriber::PlaceRequest request;
  for (const auto& [key, value] : json.items()) {
    if (key == "pac" || key == "number" || key == "subaddress") {
      if (!value.is_string()) return std::unexpected(key + ": not a text");
      const auto& word = value.get_ref<const std::string&>();
      if (word.size() > 64) return std::unexpected(key + ": longer than 64 octets");
      if (key == "number") request.call.phone_number = word;
      if (key == "subaddress") request.call.subaddress = word;
      if (key != "pac") continue;
      const auto pac = Ipv4Address::parse(word);
      if (!pac || pac->is_unspecified() || pac->is_multicast())
        return std::unexpected("pac: not an IPv4 address of a host");
      request.pac = *pac;
    } else if (key == "timeout_s") {
      if (!value.is_number_unsigned() || value.get<std::uint64_t>() < 1 ||
          value.get<std::uint64_t>() > kLongestPlacing)
        return std::unexpected("timeout_s: not an integer from 1 to 600");
      request.timeout = Seconds(value.get<std::int64_t>());
    } else {
      return std::unexpected(key + ": unknown key");
    }
  }
  if (request.pac.is_unspecified()) return std::unexpected("pac: missing");
  return request;
}

std::expected<RestartRequest, std::string> read_restart_request(std::string_view text) {
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("process") || !json["process"].is_string())
    return std::unexpected("the request is no JSON object with `process`");
  RestartRequest request;
  for (const auto& [key, value] : json.items()) {
    if (key == "process") continue;
    const bool confirm = key == "confirm_within_s";
    if (!confirm && key != "timeout_s") return std::unexpected(key + ": unknown key");
    const std::uint64_t most =
        confirm ? contract::kMaxConfirmSeconds : contract::kMaxRestartSeconds;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < 1 ||
        value.get<std::uint64_t>() > most)
      return std::unexpected(fmt::format("{}: no integer from 1 to {}", key, most));
    (confirm ? request.confirm_within : request.within) = Seconds(value.get<std::int64_t>());
  }
  const auto process = contract::process_of(json["process"].get_ref<const std::string&>());
  if (!process) return std::unexpected("process: none of control, dataplane, supervisor");
  request.process = *process;
  if (request.confirm_within > Seconds(0) && *process != contract::Process::kControl)
    return std::unexpected("confirm_within_s: for control alone");
  return request;
}

std::expected<std::optional<Seconds>, std::string> read_drain_request(std::string_view text) {
  const ordered_json json = ordered_json::parse(text, nullptr, false);
  if (!json.is_object()) return std::unexpected("the request is no JSON object");
  std::optional<Seconds> deadline;
  for (const auto& [key, value] : json.items()) {
    if (key != "deadline_s") return std::unexpected(key + ": unknown key");
    if (value.is_null()) continue;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kLongestDrain)
      return std::unexpected("deadline_s: neither null nor an integer from 0 to 2592000");
    deadline = Seconds(value.get<std::int64_t>());
  }
  return deadline;
}

std::string render_drain(const subscriber::DrainView& drain) {
  return dump({{"draining", drain.draining},
               {"deadline_s", drain.deadline_s ? ordered_json(*drain.deadline_s) : ordered_json()},
               {"calls_left", drain.calls_left},
               {"calls_at_start", drain.calls_at_start},
               {"connections", drain.connections},
               {"since_s", drain.since_s}});
}

std::string render_error(std::string_view why) { return dump({{"error", std::string(why)}}); }

std::string render_placed(const subscriber::PlacedCall& call) {
  if (call.failure == EndReason::kNone)
    return dump({{"session", subscriber::to_text(call.session)},
                 {"user", call.user},
                 {"address", call.address.to_string()},
                 {"took_ms", call.took_ms}});
  ordered_json out = {{"error", std::string(info_of(call.failure).help)},
                      {"reason", std::string(name_of(call.failure))}};
  if (call.failure == EndReason::call_refused_by_peer) {
    const auto result = static_cast<wire::pptp::OutgoingCallResult>(call.codes.result);
    const auto error = static_cast<wire::pptp::GeneralError>(call.codes.error);
    out["error"] = out["error"].get<std::string>() + ": " +
                   std::string(wire::pptp::name_of(result)) +
                   (call.codes.error != 0 ? ", " + std::string(wire::pptp::name_of(error)) : "");
    out["result_code"] = call.codes.result;
    out["error_code"] = call.codes.error;
    out["cause_code"] = call.codes.cause;
  }
  out["took_ms"] = call.took_ms;
  return dump(out);
}

std::string render_pools(const std::vector<pools::PoolStatus>& pools) {
  ordered_json out = ordered_json::array();
  for (const auto& pool : pools)
    out.push_back({{"name", std::string(pool.name)},
                   {"gateway", pool.gateway.to_string()},
                   {"size", pool.size},
                   {"used", pool.in_use},
                   {"free", pool.size - pool.in_use},
                   {"ipv6_size", pool.ipv6_size},
                   {"ipv6_used", pool.ipv6_in_use},
                   {"delegated_size", pool.delegated_size},
                   {"delegated_used", pool.delegated_in_use}});
  return dump(out);
}

std::string render_audit(const subscriber::AuditView& audit) {
  ordered_json findings = ordered_json::array();
  for (const auto& finding : audit.findings)
    findings.push_back({{"what", finding.what}, {"detail", finding.detail}});
  return dump({{"sessions", audit.sessions},
               {"in_motion", audit.in_motion},
               {"installed", audit.installed},
               {"leases", audit.leases},
               {"call_ids_in_use", audit.call_ids_in_use},
               {"call_ids_quarantined", audit.call_ids_quarantined},
               {"connections", audit.connections},
               {"stored_sessions", audit.stored_sessions},
               {"stored_connections", audit.stored_connections},
               {"findings_in_all", audit.findings_in_all},
               {"findings", findings}});
}

std::string render_ports(const contract::SessionMemory& memory) {
  ordered_json out = ordered_json::array();
  for (std::size_t port = 0; port < contract::kPorts; ++port) {
    const auto& losses = memory.header().port_losses[port];
    contract::for_each_loss(losses, [&](std::optional<std::size_t> queue, PortLoss loss,
                                        std::uint64_t count) {
      out.push_back(port_count(port, queue, info_of(loss).kind_name, info_of(loss).name, count));
    });
    contract::for_each_device_counter(losses, [&](std::string_view name, std::uint64_t count) {
      out.push_back(port_count(port, std::nullopt, "device", name, count));
    });
  }
  return dump(out);
}

std::string render_workers(const contract::SessionMemory& memory) {
  ordered_json out = ordered_json::array();
  const std::size_t count = std::min<std::size_t>(
      memory.header().worker_count.load(std::memory_order_relaxed), contract::kMaxWorkers);
  const auto& mppe = memory.header().mppe;
  const MppeView mppe_view = view_of(mppe);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& w = memory.workers()[i];
    const auto& access = w.ports[static_cast<std::size_t>(contract::PortRole::kAccess)];
    const auto& core = w.ports[static_cast<std::size_t>(contract::PortRole::kCore)];
    std::uint64_t dropped = 0;
    ordered_json drops = ordered_json::object();
    for (std::size_t reason = 1; reason < w.drops.size(); ++reason)
      if (const auto drop_count = w.drops[reason].get(); drop_count != 0) {
        dropped += drop_count;
        drops[contract::drop_reason_label(memory.header(), reason).name] = drop_count;
      }
    out.push_back({{"worker", i},
                   {"access_rx", access.rx_packets.get()},
                   {"access_tx", access.tx_packets.get()},
                   {"core_rx", core.rx_packets.get()},
                   {"core_tx", core.tx_packets.get()},
                   {"upstream_packets", w.upstream_packets.get()},
                   {"downstream_packets", w.downstream_packets.get()},
                   {"punted_control", w.punted_control.get()},
                   {"handed_out", w.handed_out.get()},
                   {"handed_out_access", access.handed_out.get()},
                   {"handed_out_core", core.handed_out.get()},
                   {"handed_in", w.handed_in.get()},
                   {"polls", w.polls.get()},
                   {"idle_polls", w.idle_polls.get()},
                   {"mppe", name_of(mppe.variant.load(std::memory_order_relaxed))},
                   {"mppe_rc4", mppe_view.forms},
                   {"mppe_bytes_step", mppe_view.bytes_step},
                   {"mppe_words_step", mppe_view.words_step},
                   {"dropped", dropped},
                   {"drops", std::move(drops)}});
#ifdef PNS_CONTRACT_TRIAL  // pns/contract/build_contract.hpp
    out.back()["trial_sessions_acked"] =
        std::ranges::count_if(memory.sessions(), [](const contract::SessionRecord& record) {
          return record.send_window.trial_ack_sent != 0;
        });
    out.back()["trial_keys_read"] = resume::trial_keys_read();
#endif
  }
  return dump(out);
}

std::string render_stats(const model::Statistics& statistics, const contract::SessionMemory& memory,
                         const std::vector<subscriber::EndView>& last_ends) {
  const auto& header = memory.header();
  ordered_json phases = ordered_json::object();
  std::int64_t sessions = 0;
  for (std::size_t i = 0; i < model::kLinkPhases; ++i) {
    const auto count = statistics.sessions_by_phase[i].get();
    phases[std::string(model::name_of(static_cast<model::LinkPhase>(i)))] = count;
    sessions += count;
  }
  ordered_json setups = ordered_json::object();
  for (std::size_t i = 0; i < model::kSetupStages; ++i)
    setups[std::string(model::kSetupStageNames[i])] = statistics.setups[i].get();
  ordered_json ends = ordered_json::array();
  for (const auto& end : last_ends)
    ends.push_back({{"session", subscriber::to_text(end.session)},
                    {"user", end.user},
                    {"claimed_user", end.claimed_user},
                    {"peer", end.peer.to_string()},
                    {"reason", end.reason},
                    {"ago_s", end.ago_s},
                    {"duration_s", end.duration_s}});
  ordered_json steered = ordered_json::object();
  for (std::size_t by = 0; by < model::kSteeredBy; ++by)
    steered[std::string(model::kSteeredByNames[by])] = statistics.calls_steered[by].get();
  const auto way = [&](contract::PortRole port) {
    return contract::kSteeringWayNames.at(
        static_cast<std::size_t>(statistics.port_steering[static_cast<std::size_t>(port)].get()));
  };
  ordered_json out = {
      {"connections", statistics.connections.get()},
      {"connections_accepted", statistics.connections_accepted.get()},
      {"connection_ends", nonzero(kEndReasons, statistics.connection_ends)},
      {"sessions", sessions},
      {"sessions_max", header.max_sessions},
      {"sessions_by_phase", phases},
      {"setups", setups},
      {"draining", statistics.draining.get() != 0},
      {"drain_calls_left", statistics.drain_calls_left.get()},
      {"admission",
       {{"in_flight", statistics.admission_in_flight.get()},
        {"waiting", statistics.admission_waiting.get()}}},
      {"steering",
       {{"access", way(contract::PortRole::kAccess)},
        {"core", way(contract::PortRole::kCore)},
        {"calls", std::move(steered)}}},
      {"call_ends", nonzero(kEndReasons, statistics.call_ends)},
      {"auth_accepted", statistics.auth_accepted.get()},
      {"auth_denied", statistics.auth_denied.get()},
      {"dataplane_attached", statistics.dataplane_attached.get() != 0},
  };
  for (std::size_t i = 0; i < contract::kProcesses; ++i) {
    const auto& process = header.processes[i];
    const std::string name(contract::kProcessNames[i]);
    const auto starts = process.starts.load(std::memory_order_relaxed);
    out[name + "_starts"] = starts;
    out[name + "_pid"] = process.pid.load(std::memory_order_relaxed);
    out[name + "_ready"] = starts != 0 && process.serves.load(std::memory_order_acquire) == starts;
  }
  // Session memory is the dataplane's to write too: nothing in it is taken for well formed.
  const auto& failure = header.start_failure;
  const auto failures = failure.count.load(std::memory_order_acquire);
  out["start_failures"] = failures;
  if (const auto process = failure.process.load(std::memory_order_relaxed);
      failures != 0 && process < contract::kProcesses) {
    const std::string_view reason(failure.reason.data(), failure.reason.size());
    out["start_failure"] = {{"process", contract::kProcessNames[process]},
                            {"reason", reason.substr(0, reason.find('\0'))}};
  }
  ordered_json start = ordered_json::object();
  for (std::size_t i = 0; i < model::kStartPhases; ++i)
    start[std::string(model::kStartPhaseNames[i])] = statistics.start_ms[i].get();
  out["control_start_ms"] = std::move(start);
  out["ports"] = port_sums(memory);
  out["port_losses"] = port_losses(memory);
  out["punt_classes"] = punt_classes(memory);
  out["broadcasts"] = broadcasts(memory);
  out["last_ends"] = std::move(ends);
  return dump(out);
}

}  // namespace pns::management
