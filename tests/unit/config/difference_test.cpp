// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/difference.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

using namespace pns::config;

namespace {

const std::string kBase = R"(ports:
  access: {device: "xdp:eth0"}
  core: {device: "xdp:eth1"}
pools:
  default: {ranges: [10.64.0.2-10.64.0.254], gateway: 10.64.0.1}
aaa:
  local: {users_file: users.yaml}
)";

Config config_of(const std::string& text) {
  auto config = parse(text, "pns.yaml");
  REQUIRE(config);
  return std::move(*config);
}

// "key: before -> after (effect)" of each.
std::vector<std::string> differences_of(const std::string& before, const std::string& after) {
  std::vector<std::string> lines;
  for (const Difference& each : differences(config_of(before), config_of(after)))
    lines.push_back(each.key + ": " + each.before + " -> " + each.after + " (" +
                    std::string(name_of(each.effect)) + ")");
  return lines;
}

}  // namespace

TEST_CASE("difference: every key has one effect", "[config]") {
  std::set<Effect> seen;
  for (const std::string_view key : known_keys()) {
    CAPTURE(key);
    const auto effect = effect_of(key);
    REQUIRE(effect);
    seen.insert(*effect);
  }
  CHECK(seen.size() == 5);
  CHECK_FALSE(effect_of("nothing.of.this.name"));
  CHECK_FALSE(effect_of(""));
}

TEST_CASE("difference: the longest prefix decides", "[config]") {
  CHECK(effect_of("ppp.mtu") == Effect::kNewCalls);
  CHECK(effect_of("ppp.lcp_echo.interval") == Effect::kNow);
  CHECK(effect_of("ppp.dhcpv6") == Effect::kNow);
  CHECK(effect_of("ppp.broadcast_relay") == Effect::kDataplane);
  CHECK(effect_of("pptp.limits.connections") == Effect::kNow);
  CHECK(effect_of("pptp.gre.reorder.wait") == Effect::kDataplane);
  CHECK(effect_of("ports.core.services.enabled") == Effect::kSupervisor);
  CHECK(effect_of("ports.core.services.interface") == Effect::kServer);
  CHECK(effect_of("ports.access.device") == Effect::kServer);
  CHECK(effect_of("pools.business.ranges") == Effect::kNewCalls);
  CHECK(effect_of("pools.business.routes") == Effect::kNow);
}

TEST_CASE("difference: the same configuration has none", "[config]") {
  CHECK(differences_of(kBase, kBase).empty());
  CHECK(differences_of(kBase, kBase + "ppp: {mtu: 1400}\n").empty());  // the default
}

TEST_CASE("difference: keys that change, come and go, by key", "[config]") {
  CHECK(differences_of(kBase + "log: {level: debug}\n",
                       kBase + "log: {level: warn}\nppp: {dns: [192.0.2.1]}\n") ==
        std::vector<std::string>{"log.level: \"debug\" -> \"warn\" (now)",
                                 "ppp.dns: [] -> [\"192.0.2.1\"] (new_calls)"});
  const std::string pool = "  gold: {ranges: [10.65.0.0-10.65.0.255], gateway: 10.66.0.1}\n";
  const auto with_pool = std::string(kBase).insert(kBase.find("aaa:"), pool);
  CHECK(differences_of(kBase, with_pool) ==
        std::vector<std::string>{"pools.gold.gateway:  -> \"10.66.0.1\" (new_calls)",
                                 "pools.gold.ranges:  -> [\"10.65.0.0-10.65.0.255\"] (new_calls)"});
  CHECK(differences_of(with_pool, kBase).size() == 2);
}
