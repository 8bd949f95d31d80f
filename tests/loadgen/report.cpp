// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pns::loadgen {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(Duration value) { return static_cast<double>(value.count()) / 1e6; }

Json json_of(const Times& times) {
  return {{"min", milliseconds(times.percentile(0))},
          {"p50", milliseconds(times.percentile(0.5))},
          {"p90", milliseconds(times.percentile(0.9))},
          {"p99", milliseconds(times.percentile(0.99))},
          {"max", milliseconds(times.percentile(1))}};
}

// The sums of some numbers, over all sessions that they had.
struct Totals {
  std::uint64_t sessions = 0;
  std::uint64_t up = 0;
  std::uint64_t failed = 0;
  std::uint64_t lost = 0;  // of those: after they had been up
  std::uint64_t with_retries = 0;
  std::uint64_t unanswered = 0;  // numbers that sent traffic and got no answer at all
  Reasons failures;
  Tally tally;

  void add(const Session& session, const Site::History& history) {
    ++sessions;
    up += history.been_up ? 1 : 0;
    with_retries += history.retried ? 1 : 0;
    TrafficCounts traffic = history.traffic;
    traffic += session.traffic();
    unanswered += traffic.sent != 0 && traffic.received == 0 ? 1 : 0;
    tally.add(session);
    if (session.stage() != Stage::kFailed) return;
    ++failed;
    lost += session.lost() ? 1 : 0;
    ++failures[std::string(name_of(session.failed_stage()))][session.failure()];
  }
};

Totals totals_of(const Site& site) {
  Totals totals;
  for (std::size_t i = 0; i < site.sessions.size(); ++i)
    totals.add(*site.sessions[i], site.histories[i]);
  for (const Tally& past : site.past) totals.tally += past;
  return totals;
}

double loss_of(const TrafficCounts& counts) {
  return counts.sent == 0 ? 0
                          : static_cast<double>(counts.lost()) / static_cast<double>(counts.sent);
}

Json json_of(const TrafficCounts& counts) {
  return {{"sent", counts.sent},           {"received", counts.received},
          {"lost", counts.lost()},         {"loss", loss_of(counts)},
          {"reordered", counts.reordered}, {"duplicated", counts.duplicated},
          {"damaged", counts.damaged},     {"foreign", counts.foreign}};
}

Json json_of(const ImpairmentCounts& counts) {
  return {{"passed", counts.passed},
          {"lost", counts.lost},
          {"duplicated", counts.duplicated},
          {"reordered", counts.reordered},
          {"cut", counts.cut}};
}

Json json_or_null(const Times& times) { return times.count() == 0 ? Json() : json_of(times); }

Json json_of(const Disturbance& disturbance, const Aftermath& after) {
  const auto seconds = [](Duration value) { return std::chrono::duration<double>(value).count(); };
  const auto lost = [&all = after.lost_by_session](double part) -> std::uint64_t {
    if (all.empty()) return 0;
    return all[std::min(all.size() - 1,
                        static_cast<std::size_t>(part * static_cast<double>(all.size())))];
  };
  Json out = {{"at_s", seconds(disturbance.begin)}};
  if (disturbance.gap != 0)
    out["gap"] = disturbance.gap;
  else
    out.update({{"seconds", seconds(disturbance.end - disturbance.begin)},
                {"upstream", disturbance.upstream},
                {"downstream", disturbance.downstream}});
  out.update({{"sessions", after.sessions},
              {"never_back", after.never_back},
              {"silent", after.silent},
              {"unanswered", after.unanswered},
              {"sent_after", after.sent},
              {"lost_after", after.lost},
              {"lost_per_session", {{"p50", lost(0.5)}, {"p99", lost(0.99)}, {"max", lost(1)}}},
              {"first_answer_ms", json_or_null(after.first_answer)},
              {"back_ms", json_or_null(after.back)}});
  return out;
}

Json disturbances_of(const Outcome& outcome) {
  Json out = Json::array();
  const auto aftermaths = outcome.disturber.aftermaths();
  for (std::size_t i = 0; i < aftermaths.size(); ++i)
    out.push_back(json_of(outcome.site.options.disturbances[i], aftermaths[i]));
  return out;
}

Json profiles_of(const Site& site) {
  const auto profiles = site.options.profiles;
  Json out = Json::object();
  for (std::size_t p = 0; p < profiles.size(); ++p) {
    Totals totals;
    for (std::size_t i = p; i < site.sessions.size(); i += profiles.size())
      totals.add(*site.sessions[i], site.histories[i]);
    if (totals.sessions == 0) continue;
    totals.tally += site.past[p];
    const Tally& tally = totals.tally;
    out[std::string(profiles[p].name)] = {
        {"sessions", totals.sessions},        {"up", totals.up},
        {"failed", totals.failures},          {"retransmissions", tally.retransmissions},
        {"set_up_ms", json_of(tally.set_up)}, {"sent", tally.traffic.sent},
        {"received", tally.traffic.received}};
  }
  return out;
}

Json json_of(const Site::LostCall& call) {
  const auto seconds = [](Duration value) { return std::chrono::duration<double>(value).count(); };
  return {{"monotonic_s", seconds(call.at.time_since_epoch())},
          {"up_for_s", seconds(call.up_for)},
          {"number", call.number},
          {"source", call.source.to_string()},
          {"call_id", call.call_id},
          {"server_call_id", call.server_call_id},
          {"address", call.address.to_string()},
          {"stage", call.stage},
          {"reason", call.reason}};
}

Json json_of(const Deaths& deaths, DeathKind kind) {
  const Times closed = deaths.until_closed();
  const auto seconds = [&closed](double part) {
    return std::chrono::duration<double>(closed.percentile(part)).count();
  };
  return {
      {"kind", name_of(kind)},
      {"sessions", deaths.sessions()},
      {"closed_by_server", closed.count()},
      {"seconds_until_all_closed",
       closed.count() == 0 ? Json()
                           : Json{{"min", seconds(0)}, {"p50", seconds(0.5)}, {"max", seconds(1)}}},
      {"strays_sent", deaths.strays()}};
}

}  // namespace

std::string to_json(const Outcome& outcome) {
  const Site& site = outcome.site;
  const Options& options = site.options;
  const Totals totals = totals_of(site);
  const Tally& tally = totals.tally;
  const double seconds = static_cast<double>(outcome.set_up_time.count()) / 1e9;
  Json result = {
      {"role", name_of(options.role)},
      {"sessions", options.sessions},
      {"up", totals.up},
      {"failures", totals.failed},
      {"failed", totals.failures},
      {"stopped", outcome.stopped},
      {"retries", site.retries},
      {"with_retries", totals.with_retries},
      {"retried_for", site.retried_for},
      {"lost_calls", site.lost_calls},
      {"lost_for", site.lost_for},
      {"churned", site.churned},
      {"connections", site.connections},
      {"seconds", seconds},
      {"set_ups_per_second", seconds > 0 ? static_cast<double>(totals.up) / seconds : 0.0},
      {"set_up_ms", json_of(tally.set_up)},
      {"first_answer_ms", json_of(tally.first_answer)},
      {"call_wait_ms", json_of(tally.call_wait)},
      {"admitted_ms", json_of(tally.admitted)},
      {"until_up_ms", json_of(tally.until_up)},
      {"retransmissions", tally.retransmissions},
      {"with_retransmissions", tally.with_retransmissions},
      {"farewells_unanswered", site.farewells_unanswered},
      {"pings_sent", tally.probes.sent},
      {"pings_answered", tally.probes.received},
      {"echoes_answered", {{"pptp", site.pptp_echoes}, {"lcp", tally.lcp_echoes}}}};
  for (const auto& call : site.lost) result["lost"].push_back(json_of(call));
  if (options.death.kind) result["death"] = json_of(outcome.deaths, *options.death.kind);
  if (options.role == Role::kListen)
    result["answers"] = {{"asked", outcome.answers.asked},
                         {"refused", outcome.answers.refused},
                         {"withdrawn", outcome.answers.withdrawn}};
  if (options.traffic.kind != Flow::Kind::kNone) {
    result["traffic"] = json_of(tally.traffic);
    result["traffic"]["sessions_unanswered"] = totals.unanswered;
    result["traffic"]["latency_ms"] = {{"p50", milliseconds(site.latencies.percentile(0.5))},
                                       {"p90", milliseconds(site.latencies.percentile(0.9))},
                                       {"p99", milliseconds(site.latencies.percentile(0.99))},
                                       {"max", milliseconds(site.latencies.percentile(1))}};
  }
  result["gre"] = {{"sent", tally.gre.sent},
                   {"received", tally.gre.received},
                   {"stale", tally.gre.stale},
                   {"missing", tally.gre.missing},
                   {"acks_sent", tally.gre.acks_sent},
                   {"acks_received", tally.gre.acks_received},
                   {"undecryptable", tally.undecryptable},
                   {"send_errors", site.send_errors},
                   {"socket_drops", site.socket_drops()}};
  if (!options.disturbances.empty()) result["disturbances"] = disturbances_of(outcome);
  const bool has_outage =
      std::ranges::any_of(options.disturbances, [](const Disturbance& d) { return d.gap == 0; });
  if (options.upstream.any() || options.downstream.any() || has_outage)
    result["impairments"] = {{"seed", options.seed},
                             {"upstream", json_of(tally.upstream)},
                             {"downstream", json_of(tally.downstream)}};
  result["profiles"] = profiles_of(site);
  return result.dump(2);
}

int exit_status(const Outcome& outcome) {
  const Options& options = outcome.site.options;
  if (options.idle_connections) return 0;
  const Totals totals = totals_of(outcome.site);
  const std::uint64_t as_wanted =
      outcome.answers.refused + (options.answer.silent ? outcome.answers.withdrawn : 0);
  const bool all_up = totals.up + as_wanted >= options.sessions;
  // An address that changes hands may still get what its last holder was sent.
  const bool changes_hands = outcome.site.churned + outcome.site.lost_calls != 0;
  const bool passed =
      totals.unanswered == 0 && (totals.tally.traffic.foreign == 0 || changes_hands) &&
      totals.tally.traffic.damaged == 0 && loss_of(totals.tally.traffic) <= options.accept_loss;
  const bool all_back = std::ranges::all_of(outcome.disturber.aftermaths(),
                                            [](const Aftermath& a) { return a.never_back == 0; });
  return outcome.stopped.empty() && all_up && all_back && totals.failed == totals.lost &&
                 outcome.site.lost_calls <= options.accept_lost_calls && passed &&
                 outcome.site.farewells_unanswered == 0
             ? 0
             : 1;
}

}  // namespace pns::loadgen
