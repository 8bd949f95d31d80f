// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/radius_collector.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "controlplane/metrics/metric_families.hpp"

namespace pns::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Server = model::RadiusServerCounts;

Labels labels_of(const Server& server) {
  return {{"kind", std::string(model::name_of(server.kind))}, {"server", server.name}};
}

constexpr Figure<Server> kServerFigures[] = {
    {"pns_radius_requests_total", "Requests sent to a RADIUS server for the first time",
     MetricType::Counter, &Server::requests},
    {"pns_radius_retransmissions_total", "Requests sent to a RADIUS server again",
     MetricType::Counter, &Server::retransmissions},
    {"pns_radius_answers_total", "Verified answers of a RADIUS server", MetricType::Counter,
     &Server::answers},
    {"pns_radius_timeouts_total", "Transmissions that a RADIUS server did not answer in time",
     MetricType::Counter, &Server::timeouts},
    {"pns_radius_fail_overs_total", "Requests that went on to another RADIUS server",
     MetricType::Counter, &Server::fail_overs},
    {"pns_radius_send_failures_total", "Datagrams that the kernel did not take",
     MetricType::Counter, &Server::send_failures},
    {"pns_radius_probes_total", "Status-Server requests", MetricType::Counter, &Server::probes},
    {"pns_radius_probe_answers_total", "Answers to Status-Server", MetricType::Counter,
     &Server::probe_answers},
    {"pns_radius_deaths_total", "Times that a RADIUS server was given up", MetricType::Counter,
     &Server::deaths},
    {"pns_radius_window", "Requests that a RADIUS server may owe an answer to", MetricType::Gauge,
     &Server::window},
    {"pns_radius_outstanding", "Requests that a RADIUS server owes an answer to", MetricType::Gauge,
     &Server::outstanding},
    {"pns_radius_deferred", "Retransmissions that wait for the window", MetricType::Gauge,
     &Server::deferred},
    {"pns_radius_round_trip_seconds", "Smoothed time to the answer", MetricType::Gauge,
     &Server::round_trip_us, 1e6},
};

void add_discards(std::vector<MetricFamily>& out, const model::RadiusCounts& counts,
                  const std::deque<Server>& servers) {
  auto discards = family("pns_radius_discards_total",
                         "Datagrams that were no answer, by server and reason; server none: of no "
                         "server",
                         MetricType::Counter);
  constexpr auto kUnknown = static_cast<std::size_t>(model::RadiusDiscard::unknown_source);
  const auto reason = [](std::size_t i) { return std::string(model::kRadiusDiscardInfos[i].name); };
  add(discards, {{"kind", "none"}, {"reason", reason(kUnknown)}, {"server", "none"}},
      counts.unknown_source.get());
  for (const Server& server : servers)
    for (std::size_t i = 0; i < model::kRadiusDiscards; ++i) {
      if (i == kUnknown) continue;
      Labels labels = labels_of(server);
      labels.push_back({"reason", reason(i)});
      add(discards, std::move(labels), server.discards[i].get());
    }
  out.push_back(std::move(discards));
}

void add_states(std::vector<MetricFamily>& out, const std::deque<Server>& servers) {
  auto states =
      family("pns_radius_server_state", "1 for the state of a RADIUS server", MetricType::Gauge);
  for (const Server& server : servers)
    for (const auto state :
         {model::RadiusState::kAlive, model::RadiusState::kSuspect, model::RadiusState::kDead}) {
      Labels labels = labels_of(server);
      labels.push_back({"state", std::string(model::name_of(state))});
      add(states, std::move(labels),
          server.state.get() == static_cast<std::int64_t>(state) ? 1 : 0);
    }
  out.push_back(std::move(states));
}

void add_kinds(std::vector<MetricFamily>& out, const model::RadiusCounts& counts) {
  auto waiting =
      family("pns_radius_waiting", "Requests that wait for a RADIUS server", MetricType::Gauge);
  auto failures = family("pns_radius_failures_total", "Requests that ended without an answer",
                         MetricType::Counter);
  for (std::size_t k = 0; k < model::kRadiusKinds; ++k) {
    const std::string kind(model::name_of(static_cast<model::RadiusKind>(k)));
    add(waiting, {{"kind", kind}}, counts.waiting[k].get());
    for (const auto& [reason, count] : {std::pair{"queue_full", &counts.refused[k]},
                                        {"expired", &counts.expired[k]},
                                        {"server_died", &counts.lost_state[k]}})
      add(failures, {{"kind", kind}, {"reason", reason}}, count->get());
  }
  out.push_back(std::move(waiting));
  out.push_back(std::move(failures));
}

// Those that came: a list of all has two hundred lines.
void add_attributes(std::vector<MetricFamily>& out,
                    const std::deque<model::RadiusAttributeCounts>& attributes) {
  auto ignored = family("pns_radius_attributes_ignored_total",
                        "Attributes of Access-Accepts that had no effect, by name; other: those "
                        "without a name here",
                        MetricType::Counter);
  for (const model::RadiusAttributeCounts& attribute : attributes)
    for (const auto& [reason, count] :
         {std::pair{"unreadable", &attribute.unreadable}, {"unsupported", &attribute.unsupported}})
      if (count->get() != 0 || attribute.name == "other")
        add(ignored, {{"attribute", std::string(attribute.name)}, {"reason", reason}},
            count->get());
  out.push_back(std::move(ignored));
}

}  // namespace

std::vector<MetricFamily> RadiusCollector::Collect() const {
  std::vector<MetricFamily> out;
  for (const auto& figure : kServerFigures) {
    auto f = figure.family();
    for (const Server& server : servers_) add(f, labels_of(server), figure.value(server));
    out.push_back(std::move(f));
  }
  add_discards(out, counts_, servers_);
  add_states(out, servers_);
  add_kinds(out, counts_);
  add_attributes(out, attributes_);
  return out;
}

}  // namespace pns::metrics
