// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/radius_collector.hpp"

#include <prometheus/text_serializer.h>

#include <catch2/catch.hpp>
#include <deque>
#include <set>
#include <sstream>
#include <string>

#include "controlplane/metrics/authorization_collector.hpp"

using namespace pns;
using Catch::Contains;

TEST_CASE("metrics: RADIUS servers by name, kind, state and reason", "[metrics][radius]") {
  model::RadiusCounts counts;
  counts.unknown_source.add(3);
  counts.expired[0].add(2);
  std::deque<model::RadiusServerCounts> servers(2);
  servers[0].name = "192.0.2.1:1812";
  servers[0].requests.add(7);
  servers[0].round_trip_us.set(2500);
  servers[0].discards[static_cast<std::size_t>(model::RadiusDiscard::late)].add(5);
  servers[1].name = "[2001:db8::1]:1813";
  servers[1].kind = model::RadiusKind::kAccounting;
  servers[1].state.set(static_cast<std::int64_t>(model::RadiusState::kDead));

  std::deque<model::RadiusAttributeCounts> attributes(3);
  attributes[0].name = "Filter-Id";
  attributes[0].unreadable.add(4);
  attributes[1].name = "Framed-MTU";
  attributes[2].name = "other";

  const auto families = metrics::RadiusCollector(counts, servers, attributes).Collect();
  std::set<std::string> names;
  for (const auto& family : families) CHECK(names.insert(family.name).second);
  const std::string text = prometheus::TextSerializer().Serialize(families);
  for (
      const char* const line : {
          R"(pns_radius_requests_total{kind="authentication",server="192.0.2.1:1812"} 7)",
          R"(pns_radius_round_trip_seconds{kind="authentication",server="192.0.2.1:1812"} 0.0025)",
          R"(pns_radius_discards_total{kind="none",reason="unknown_source",server="none"} 3)",
          R"(reason="late"} 5)",
          R"(pns_radius_server_state{kind="accounting",server="[2001:db8::1]:1813",state="dead"} 1)",
          R"(pns_radius_server_state{kind="accounting",server="[2001:db8::1]:1813",state="alive"} 0)",
          R"(pns_radius_failures_total{kind="authentication",reason="expired"} 2)",
          R"(pns_radius_attributes_ignored_total{attribute="Filter-Id",reason="unreadable"} 4)",
          R"(pns_radius_attributes_ignored_total{attribute="other",reason="unsupported"} 0)",
      })
    CHECK_THAT(text, Contains(line));
  CHECK_THAT(text, !Contains("Framed-MTU"));
}

TEST_CASE("metrics: clients of dynamic authorization by name, kind and reason",
          "[metrics][radius][rfc5176]") {
  model::AuthorizationCounts counts;
  counts.unknown_client.add(3);
  std::deque<model::AuthorizationClientCounts> clients(2);
  clients[0].name = "192.0.2.9";
  clients[0].disconnects.add(5);
  clients[0].sessions.add(6);
  clients[0].refusals[static_cast<std::size_t>(model::AuthorizationRefusal::stale)].add(2);
  clients[1].name = "2001:db8::/32";
  clients[1].changes.add(7);
  const auto families = metrics::AuthorizationCollector(counts, clients).Collect();
  std::set<std::string> names;
  for (const auto& family : families) CHECK(names.insert(family.name).second);
  const std::string text = prometheus::TextSerializer().Serialize(families);
  for (const char* const line : {
           R"(pns_authorization_acknowledged_total{client="192.0.2.9",kind="disconnect"} 5)",
           R"(pns_authorization_acknowledged_total{client="2001:db8::/32",kind="coa"} 7)",
           R"(pns_authorization_sessions_total{client="192.0.2.9"} 6)",
           R"(pns_authorization_refusals_total{client="192.0.2.9",reason="stale"} 2)",
           R"(pns_authorization_refusals_total{client="none",reason="unknown_client"} 3)",
       })
    CHECK_THAT(text, Contains(line));
}
