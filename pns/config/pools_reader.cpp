// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/pools_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pns/base/networks.hpp"
#include "pns/config/words.hpp"

namespace pns::config {
namespace {

// A pool's prefix is cut into /64s, one for each session.
Parsed<Ipv6Prefix> parse_pool_prefix(std::string_view text) {
  auto prefix = parse_ipv6_network(text);
  if (!prefix) return prefix;
  if (prefix->length < 40 || prefix->length > 64)
    return std::unexpected(fmt::format("{}: a length from 40 to 64 is needed", text));
  if (prefix->address.is_link_local() || prefix->address.is_multicast())
    return std::unexpected(fmt::format("{} is not a network of unicast addresses", text));
  return prefix;
}

// The prefixes that DHCPv6 delegates are cut out of these.
Parsed<Ipv6Prefix> parse_delegated_prefix(std::string_view text) {
  auto prefix = parse_ipv6_network(text);
  if (prefix && !may_be_behind_subscriber(*prefix))
    return std::unexpected(
        fmt::format("{} is not a network of unicast addresses, or wider than /16", text));
  return prefix;
}

void read_delegation(const Section& section, Document& document, Pool& pool) {
  constexpr int kMaxBits = 24;  // 16 million prefixes for each entry
  section.read_list("delegated_prefixes", pool.delegated_prefixes, parse_delegated_prefix);
  section.read("delegated_length", pool.delegated_length, integer(48, 64));
  if (section.has("delegated_length") && !section.has("delegated_prefixes"))
    document.error_at(section.path("delegated_length"),
                      "has no meaning without delegated_prefixes");
  if (!pool.delegated_prefixes.empty() && pool.ipv6_prefixes.empty())
    document.error_at(section.path("delegated_prefixes"),
                      "needs IPv6 on the link: give the pool ipv6_prefixes too");
  for (const Ipv6Prefix& prefix : pool.delegated_prefixes)
    if (prefix.length > pool.delegated_length || pool.delegated_length - prefix.length > kMaxBits)
      document.error_at(section.path("delegated_prefixes"),
                        fmt::format("{}: a length from {} to {} is needed for prefixes of {} bits",
                                    prefix.to_string(), pool.delegated_length - kMaxBits,
                                    pool.delegated_length, pool.delegated_length));
}

void check_next_pools(const Config& config, const std::string& first, Document& document) {
  const std::string key = "pools." + first + ".next";
  std::size_t steps = 0;
  for (const std::string* next = &config.pools.at(first).next; !next->empty();) {
    const auto found = config.pools.find(*next);
    if (found == config.pools.end()) {
      if (steps == 0) document.error_at(key, "there is no pool " + *next);
      return;
    }
    if (*next == first) return document.error_at(key, "the pool comes after itself");
    if (++steps > config.pools.size()) return;  // a circle of others, which they tell
    next = &found->second.next;
  }
}

}  // namespace

void read_pools(const Section& top, Document& document, std::map<std::string, Pool>& out) {
  for (const auto& [name, section] : top.named_sections("pools")) {
    Pool pool;
    section.require("ranges");
    section.require("gateway");
    section.read_list("ranges", pool.ranges, parse_range);
    section.read("gateway", pool.gateway, [](auto text) { return parse_host_address(text); });
    section.read_list("ipv6_prefixes", pool.ipv6_prefixes, parse_pool_prefix);
    read_delegation(section, document, pool);
    section.read("skip_0_and_255", pool.skip_0_and_255, one_of(kTrueOrFalse));
    section.read_list("routes", pool.routes, parse_network);
    section.read_list("exclude", pool.exclude, parse_range);
    section.read("next", pool.next, parse_text);
    section.read_list("groups", pool.groups, parse_text);
    section.read_list("dialled", pool.dialled, [](auto text) { return parse_host_address(text); });
    std::size_t octets = 0;
    for (const Ipv4Prefix& route : pool.routes) octets += 5 + (route.length + 7U) / 8;
    if (octets > kMaxRouteOctets)
      document.error_at(section.path("routes"),
                        fmt::format("too many for one DHCP option: {} octets, at most {}", octets,
                                    kMaxRouteOctets));
    out.emplace(name, std::move(pool));
  }
  if (!out.contains("default")) document.error_at("pools.default", "must be given");
}

void check_pool_choice(const Config& config, Document& document) {
  std::map<std::string, std::string> pool_of_group;
  std::map<Ipv4Address, std::string> pool_of_dialled;
  for (const auto& [name, pool] : config.pools) {
    const std::string key = "pools." + name;
    for (const std::string& group : pool.groups)
      if (const auto [other, first] = pool_of_group.emplace(group, name); !first)
        document.error_at(key + ".groups",
                          fmt::format("{} has pool {} already", group, other->second));
    for (const Ipv4Address address : pool.dialled) {
      if (const auto [other, first] = pool_of_dialled.emplace(address, name); !first)
        document.error_at(key + ".dialled", fmt::format("{} has pool {} already",
                                                        address.to_string(), other->second));
      if (!config.pptp.listen.empty() &&
          std::ranges::find(config.pptp.listen, address) == config.pptp.listen.end())
        document.error_at(key + ".dialled",
                          fmt::format("{} is not of pptp.listen", address.to_string()));
    }
    for (const Ipv4Range& excluded : pool.exclude)
      if (std::ranges::none_of(pool.ranges, [&](const Ipv4Range& range) {
            return range.contains(excluded.first) && range.contains(excluded.last);
          }))
        document.error_at(key + ".exclude",
                          fmt::format("{}-{} is in no range of the pool",
                                      excluded.first.to_string(), excluded.last.to_string()));
    check_next_pools(config, name, document);
  }
}

void add_gateways(Config& config) {
  Port& core = config.ports.core;
  if (!core.leads_to_host() || !core.addresses.empty()) return;
  for (const auto& [name, pool] : config.pools) {
    const Ipv4Prefix gateway{pool.gateway, 32};
    if (std::find(core.addresses.begin(), core.addresses.end(), gateway) == core.addresses.end())
      core.addresses.push_back(gateway);
  }
}

}  // namespace pns::config
