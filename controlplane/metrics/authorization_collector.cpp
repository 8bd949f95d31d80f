// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/authorization_collector.hpp"

#include <cstddef>
#include <string>
#include <utility>

#include "controlplane/metrics/metric_families.hpp"

namespace pns::metrics {
namespace {

using prometheus::MetricFamily;
using prometheus::MetricType;
using Client = model::AuthorizationClientCounts;

constexpr Figure<Client> kFigures[] = {
    {"pns_authorization_sessions_total", "Sessions that a RADIUS client has ended or changed",
     MetricType::Counter, &Client::sessions},
    {"pns_authorization_repeated_answers_total",
     "Answers to retransmissions of requests that were answered before", MetricType::Counter,
     &Client::repeated},
    {"pns_authorization_send_failures_total", "Answers that the kernel did not take",
     MetricType::Counter, &Client::send_failures},
    {"pns_authorization_in_flight", "Requests in progress", MetricType::Gauge, &Client::in_flight},
    {"pns_authorization_remembered", "Requests that a replay is known by", MetricType::Gauge,
     &Client::remembered},
};

MetricFamily acknowledged(const std::deque<Client>& clients) {
  auto out =
      family("pns_authorization_acknowledged_total",
             "Disconnect-Requests and CoA-Requests that were carried out", MetricType::Counter);
  for (const Client& client : clients) {
    add(out, {{"client", client.name}, {"kind", "disconnect"}}, client.disconnects.get());
    add(out, {{"client", client.name}, {"kind", "coa"}}, client.changes.get());
  }
  return out;
}

MetricFamily refused(const model::AuthorizationCounts& counts, const std::deque<Client>& clients) {
  auto out = family("pns_authorization_refusals_total",
                    "Datagrams that changed nothing, by client and reason; client none: of no "
                    "client",
                    MetricType::Counter);
  constexpr auto kUnknown = static_cast<std::size_t>(model::AuthorizationRefusal::unknown_client);
  const auto reason = [](std::size_t i) {
    return std::string(model::kAuthorizationRefusalInfos[i].name);
  };
  add(out, {{"client", "none"}, {"reason", reason(kUnknown)}}, counts.unknown_client.get());
  for (const Client& client : clients)
    for (std::size_t i = 0; i < model::kAuthorizationRefusals; ++i)
      if (i != kUnknown)
        add(out, {{"client", client.name}, {"reason", reason(i)}}, client.refusals[i].get());
  return out;
}

}  // namespace

std::vector<MetricFamily> AuthorizationCollector::Collect() const {
  std::vector<MetricFamily> out;
  for (const auto& figure : kFigures) {
    auto f = figure.family();
    for (const Client& client : clients_) add(f, {{"client", client.name}}, figure.value(client));
    out.push_back(std::move(f));
  }
  out.push_back(acknowledged(clients_));
  out.push_back(refused(counts_, clients_));
  return out;
}

}  // namespace pns::metrics
