// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/report.hpp"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace pns::loadgen {
namespace {

using Json = nlohmann::ordered_json;

double milliseconds(Duration value) { return static_cast<double>(value.count()) / 1e6; }

// min, p50, p90, p99 and max, in milliseconds.
class Times {
 public:
  void add(const std::optional<Duration>& value) {
    if (value) values_.push_back(milliseconds(*value));
  }
  [[nodiscard]] Json json() {
    std::ranges::sort(values_);
    return {{"min", at(0)}, {"p50", at(0.5)}, {"p90", at(0.9)}, {"p99", at(0.99)}, {"max", at(1)}};
  }

 private:
  [[nodiscard]] double at(double part) const {
    if (values_.empty()) return 0;
    const auto index = static_cast<std::size_t>(part * static_cast<double>(values_.size()));
    return values_[std::min(values_.size() - 1, index)];
  }
  std::vector<double> values_;
};

// The sums of some sessions.
struct Totals {
  std::uint64_t sessions = 0;
  std::uint64_t up = 0;
  std::uint64_t failed = 0;
  std::uint64_t retransmissions = 0;
  std::uint64_t with_retransmissions = 0;
  std::uint64_t unanswered = 0;  // sessions that sent traffic and got no answer at all
  std::uint64_t undecryptable = 0;
  TrafficCounts probes;
  TrafficCounts traffic;
  GreCounts gre;
  ImpairmentCounts upstream;
  ImpairmentCounts downstream;
  Times set_up;
  Times first_answer;
  std::map<std::string, std::map<std::string, unsigned>> failures;  // stage → reason

  void add(const Session& session) {
    ++sessions;
    up += session.set_up() ? 1 : 0;
    retransmissions += session.retransmissions();
    with_retransmissions += session.retransmissions() != 0 ? 1 : 0;
    unanswered += session.traffic().sent != 0 && session.traffic().received == 0 ? 1 : 0;
    undecryptable += session.undecryptable();
    probes += session.probes();
    traffic += session.traffic();
    gre += session.gre();
    upstream += session.upstream();
    downstream += session.downstream();
    set_up.add(session.set_up());
    first_answer.add(session.first_answer());
    if (session.stage() != Stage::kFailed) return;
    ++failed;
    ++failures[std::string(name_of(session.failed_stage()))][session.failure()];
  }
};

Totals totals_of(const Site& site) {
  Totals totals;
  for (const auto& session : site.sessions) totals.add(*session);
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
          {"damaged", counts.damaged}};
}

Json json_of(const ImpairmentCounts& counts) {
  return {{"passed", counts.passed},
          {"lost", counts.lost},
          {"duplicated", counts.duplicated},
          {"reordered", counts.reordered}};
}

Json profiles_of(const Site& site) {
  Json out = Json::object();
  for (const Profile& profile : site.options.profiles) {
    Totals totals;
    for (const auto& session : site.sessions)
      if (&session->profile() == &profile) totals.add(*session);
    if (totals.sessions == 0) continue;
    out[std::string(profile.name)] = {
        {"sessions", totals.sessions},        {"up", totals.up},
        {"failed", totals.failures},          {"retransmissions", totals.retransmissions},
        {"set_up_ms", totals.set_up.json()},  {"sent", totals.traffic.sent},
        {"received", totals.traffic.received}};
  }
  return out;
}

}  // namespace

std::string to_json(const Outcome& outcome) {
  const Site& site = outcome.site;
  const Options& options = site.options;
  Totals totals = totals_of(site);
  const double seconds = static_cast<double>(outcome.set_up_time.count()) / 1e9;
  Json result = {
      {"role", name_of(options.role)},
      {"sessions", options.sessions},
      {"up", totals.up},
      {"failures", totals.failed},
      {"failed", totals.failures},
      {"stopped", outcome.stopped},
      {"connections", outcome.connections},
      {"seconds", seconds},
      {"set_ups_per_second", seconds > 0 ? static_cast<double>(totals.up) / seconds : 0.0},
      {"set_up_ms", totals.set_up.json()},
      {"first_answer_ms", totals.first_answer.json()},
      {"retransmissions", totals.retransmissions},
      {"with_retransmissions", totals.with_retransmissions},
      {"farewells_unanswered", site.farewells_unanswered},
      {"pings_sent", totals.probes.sent},
      {"pings_answered", totals.probes.received}};
  if (options.role == Role::kListen)
    result["answers"] = {{"asked", outcome.answers.asked},
                         {"refused", outcome.answers.refused},
                         {"withdrawn", outcome.answers.withdrawn}};
  if (options.traffic.kind != Flow::Kind::kNone) {
    result["traffic"] = json_of(totals.traffic);
    result["traffic"]["sessions_unanswered"] = totals.unanswered;
    result["traffic"]["latency_ms"] = {{"p50", milliseconds(site.latencies.percentile(0.5))},
                                       {"p90", milliseconds(site.latencies.percentile(0.9))},
                                       {"p99", milliseconds(site.latencies.percentile(0.99))},
                                       {"max", milliseconds(site.latencies.percentile(1))}};
  }
  result["gre"] = {{"sent", totals.gre.sent},
                   {"received", totals.gre.received},
                   {"stale", totals.gre.stale},
                   {"missing", totals.gre.missing},
                   {"acks_sent", totals.gre.acks_sent},
                   {"acks_received", totals.gre.acks_received},
                   {"undecryptable", totals.undecryptable},
                   {"send_errors", site.send_errors}};
  if (options.upstream.any() || options.downstream.any())
    result["impairments"] = {{"seed", options.seed},
                             {"upstream", json_of(totals.upstream)},
                             {"downstream", json_of(totals.downstream)}};
  result["profiles"] = profiles_of(site);
  return result.dump(2);
}

int exit_status(const Outcome& outcome) {
  const Options& options = outcome.site.options;
  if (options.idle_connections) return 0;
  const Totals totals = totals_of(outcome.site);
  const bool all_up = totals.up + outcome.answers.refused >= options.sessions;
  const bool passed = totals.unanswered == 0 && totals.traffic.damaged == 0 &&
                      loss_of(totals.traffic) <= options.accept_loss;
  return outcome.stopped.empty() && all_up && totals.failed == 0 && passed &&
                 outcome.site.farewells_unanswered == 0
             ? 0
             : 1;
}

}  // namespace pns::loadgen
