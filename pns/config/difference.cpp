// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/difference.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

namespace pns::config {
namespace {

using Json = nlohmann::json;

struct KeyEffect {
  std::string_view prefix;  // of dotted keys, `*` stands for one name or index
  Effect effect;
};

// The longest prefix counts.
constexpr auto kEffects = std::to_array<KeyEffect>({
    {"node.name", Effect::kNewCalls},
    {"dataplane", Effect::kDataplane},
    {"dataplane.memory.hugepages", Effect::kServer},
    {"dataplane.max_sessions", Effect::kServer},
    {"ports.*.device", Effect::kServer},
    {"ports.*.members", Effect::kServer},
    {"ports.*.twin", Effect::kServer},
    {"ports.*.addresses", Effect::kSupervisor},
    {"ports.*.routes", Effect::kSupervisor},
    {"ports.*.gateway", Effect::kSupervisor},
    {"ports.*.ipv6_gateway", Effect::kSupervisor},
    {"ports.*.mtu", Effect::kSupervisor},
    {"ports.*.table", Effect::kSupervisor},
    {"ports.*.vlan", Effect::kDataplane},
    {"ports.access.reachable_by_subscribers", Effect::kDataplane},
    {"ports.core.services", Effect::kSupervisor},
    {"ports.core.services.interface", Effect::kServer},
    {"pptp", Effect::kNow},
    {"pptp.gre", Effect::kDataplane},
    {"ppp", Effect::kNewCalls},
    {"ppp.lcp_echo", Effect::kNow},
    {"ppp.domain", Effect::kNow},
    {"ppp.dhcpv6", Effect::kNow},
    {"ppp.broadcast_relay", Effect::kDataplane},
    {"pools", Effect::kNewCalls},
    {"pools.*.routes", Effect::kNow},
    {"filters", Effect::kDataplane},
    {"rates", Effect::kDataplane},
    {"rate_groups", Effect::kDataplane},
    {"aaa", Effect::kNewCalls},
    {"aaa.radius", Effect::kNow},
    {"metrics.listen", Effect::kNow},
    {"control.memory.megabytes", Effect::kNow},
    {"management.socket", Effect::kNow},
    {"log.level", Effect::kNow},
    {"log.format", Effect::kNow},
});

// The first name of a dotted key, which is taken off it.
std::string_view take_name(std::string_view& key) {
  const auto dot = key.find('.');
  const std::string_view name = key.substr(0, dot);
  key = dot == std::string_view::npos ? std::string_view() : key.substr(dot + 1);
  return name;
}

bool starts_with(std::string_view key, std::string_view prefix) {
  while (!prefix.empty()) {
    if (key.empty()) return false;
    const std::string_view wanted = take_name(prefix);
    if (const std::string_view name = take_name(key); wanted != "*" && name != wanted) return false;
  }
  return true;
}

// Leaves by dotted key; a list is a leaf.
void flatten(const Json& json, const std::string& key, std::map<std::string, std::string>& out) {
  if (!json.is_object()) {
    out[key] = json.dump();
    return;
  }
  for (const auto& [name, value] : json.items())
    flatten(value, key.empty() ? name : key + "." + name, out);
}

std::map<std::string, std::string> leaves_of(const Config& config) {
  std::map<std::string, std::string> leaves;
  flatten(Json::parse(dump_json(config)), "", leaves);
  return leaves;
}

}  // namespace

std::string_view name_of(Effect effect) noexcept {
  switch (effect) {
    case Effect::kNow:
      return "now";
    case Effect::kNewCalls:
      return "new_calls";
    case Effect::kDataplane:
      return "dataplane";
    case Effect::kSupervisor:
      return "supervisor";
    case Effect::kServer:
      return "server";
  }
  return "invalid";
}

std::expected<Effect, std::string> effect_of(std::string_view key) {
  const KeyEffect* best = nullptr;
  for (const KeyEffect& each : kEffects)
    if (starts_with(key, each.prefix) &&
        (best == nullptr || each.prefix.size() > best->prefix.size()))
      best = &each;
  if (best == nullptr) return std::unexpected("no effect is known of " + std::string(key));
  return best->effect;
}

std::vector<Difference> differences(const Config& before, const Config& after) {
  const auto old_leaves = leaves_of(before);
  auto new_leaves = leaves_of(after);
  std::vector<Difference> found;
  const auto add = [&found](const std::string& key, std::string was, std::string is) {
    // A key that nobody has listed is one that nobody has thought of: the safest is the server.
    found.push_back({key, std::move(was), std::move(is), effect_of(key).value_or(Effect::kServer)});
  };
  for (const auto& [key, was] : old_leaves) {
    const auto now = new_leaves.find(key);
    if (now == new_leaves.end()) {
      add(key, was, {});
      continue;
    }
    if (now->second != was) add(key, was, now->second);
    new_leaves.erase(now);
  }
  for (const auto& [key, is] : new_leaves) add(key, {}, is);
  std::ranges::sort(found, {}, &Difference::key);
  return found;
}

}  // namespace pns::config
