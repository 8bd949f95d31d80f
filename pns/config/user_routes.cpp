// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/user_routes.hpp"
#include "pns/config/pool_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "pns/base/ip_ranges.hpp"

namespace pns::config {
namespace {

using AnyPrefix = std::variant<Ipv4Prefix, Ipv6Prefix>;

template <class Prefix>
Parsed<AnyPrefix> parse_behind(Parsed<Prefix> network) {
  if (!network) return std::unexpected(std::move(network.error()));
  if (!may_be_behind_subscriber(*network))
    return std::unexpected(
        fmt::format("{} is no network that can be behind one user", network->to_string()));
  return AnyPrefix(*network);
}

Parsed<AnyPrefix> parse_user_route(std::string_view text) {
  return text.find(':') == std::string_view::npos ? parse_behind(parse_network(text))
                                                  : parse_behind(parse_ipv6_network(text));
}

std::string key_of(const LocalUser& user, std::string_view what) {
  return fmt::format("{}.{}", user.name, what);
}

constexpr std::string_view kRoutes = "routes";
constexpr std::string_view kDelegated = "delegated_ipv6_prefix";

// Networks behind the user, not addresses of his end of the link.
bool is_behind(std::string_view what) noexcept { return what == kRoutes || what == kDelegated; }

// A prefix that a user has to himself, and what it is.
template <class Prefix>
struct Placed {
  Prefix prefix;
  std::string_view what;
  const LocalUser* user = nullptr;
};

// In the order of their addresses, a prefix that lies in another one comes behind it, with nothing
// but such prefixes between.
template <class Prefix>
void check_placed(Document& document, std::vector<Placed<Prefix>> placed) {
  std::ranges::stable_sort(placed, [](const auto& one, const auto& other) {
    return std::pair(one.prefix.address, one.prefix.length) <
           std::pair(other.prefix.address, other.prefix.length);
  });
  std::vector<const Placed<Prefix>*> around;  // of the next prefix, the widest first
  for (const Placed<Prefix>& next : placed) {
    while (!around.empty() && !around.back()->prefix.contains(next.prefix.address))
      around.pop_back();
    for (const Placed<Prefix>* wide : around) {
      // The subscriber's own address may lie in his network.
      const bool own_address = wide->user == next.user &&
                               (wide->what == kRoutes || next.what == kRoutes) &&
                               is_behind(wide->what) != is_behind(next.what) &&
                               wide->prefix.length != next.prefix.length;
      if (own_address || (!is_behind(wide->what) && !is_behind(next.what))) continue;
      const auto& [at, other] =
          is_behind(next.what) ? std::pair(&next, wide) : std::pair(wide, &next);
      document.error_at(key_of(*at->user, at->what),
                        fmt::format("{} overlaps {}, of {} of {}", at->prefix.to_string(),
                                    other->prefix.to_string(), other->what, other->user->name));
      break;
    }
    around.push_back(&next);
  }
}

class Checker {
 public:
  // `what`: the key that has the networks.
  Checker(Document& document, const Config& config, const LocalUser& user, std::string_view what)
      : document_(document), config_(config), user_(user), what_(what) {}

  void check(const Ipv4Prefix& network) {
    for (const auto& [name, pool] : config_.pools) {
      const Ipv4Range range{network.network(), network.last()};
      if (std::ranges::any_of(pool.ranges,
                              [&](const Ipv4Range& leased) { return range.overlaps(leased); }))
        found(network, fmt::format("overlaps the ranges of pool {}", name));
      holds(network, pool.gateway, fmt::format("the gateway of pool {}", name));
    }
    for (const Ipv4Address listen : config_.pptp.listen)
      holds(network, listen, "an address of this server (pptp.listen)");
    for (const auto& [role, port] : named_ports(config_)) {
      check_port(network, role, port->addresses, port->gateway, port->routes);
    }
  }
  void check(const Ipv6Prefix& network) {
    for (const auto& [name, pool] : config_.pools) {
      for (const Ipv6Prefix& prefix : pool.ipv6_prefixes) check_pool(network, prefix, name);
      for (const Ipv6Prefix& prefix : pool.delegated_prefixes)
        // A fixed prefix may be one of those that the pool has.
        if (what_ != kDelegated || network.length != pool.delegated_length)
          check_pool(network, prefix, name);
    }
    for (const auto& [role, port] : named_ports(config_))
      check_port(network, role, port->ipv6_addresses, port->ipv6_gateway, port->ipv6_routes);
  }

 private:
  void found(const auto& network, const std::string& reason) {
    document_.error_at(key_of(user_, what_), network.to_string() + " " + reason);
  }
  void check_pool(const Ipv6Prefix& network, const Ipv6Prefix& prefix, const std::string& pool) {
    if (overlap(network, prefix))
      found(network, fmt::format("overlaps {} of pool {}", prefix.to_string(), pool));
  }
  void holds(const auto& network, const auto& address, const std::string& whose) {
    if (network.contains(address))
      found(network, fmt::format("holds {}, {}", address.to_string(), whose));
  }
  void check_port(const auto& network, std::string_view role, const auto& addresses,
                  const auto& gateway, const auto& routes) {
    for (const auto& own : addresses)
      if (overlap(network, own))
        found(network, fmt::format("overlaps {} (ports.{}.addresses)", own.to_string(), role));
    if (gateway) holds(network, *gateway, fmt::format("the gateway of ports.{}", role));
    for (const auto& route : routes) {
      holds(network, route.via, fmt::format("the next hop of a route of ports.{}", role));
      // A network in a wider route of the port is behind the user all the same.
      if (role == "core" && network.length <= route.to.length && network.contains(route.to.address))
        found(network, fmt::format("holds {}, a route of ports.core", route.to.to_string()));
    }
  }

  Document& document_;
  const Config& config_;
  const LocalUser& user_;
  std::string_view what_;
};

}  // namespace

void read_user_routes(Document& document, const Section& section, Networks& routes) {
  std::vector<AnyPrefix> read;
  section.read_list("routes", read, parse_user_route);
  for (const AnyPrefix& prefix : read) {
    if (const auto* ipv4 = std::get_if<Ipv4Prefix>(&prefix)) routes.ipv4.push_back(*ipv4);
    if (const auto* ipv6 = std::get_if<Ipv6Prefix>(&prefix)) routes.ipv6.push_back(*ipv6);
  }
  if (routes.size() > kMaxNetworks)
    document.error_at(section.path("routes"), fmt::format("{} networks: a user has at most {}",
                                                          routes.size(), kMaxNetworks));
}

void check_user_routes(Document& document, const std::vector<LocalUser>& users) {
  std::vector<Placed<Ipv4Prefix>> ipv4;
  std::vector<Placed<Ipv6Prefix>> ipv6;
  for (const LocalUser& user : users) {
    for (const Ipv4Prefix& network : user.routes.ipv4) ipv4.push_back({network, kRoutes, &user});
    for (const Ipv6Prefix& network : user.routes.ipv6) ipv6.push_back({network, kRoutes, &user});
    if (user.address) ipv4.push_back({{*user.address, 32}, "address", &user});
    if (user.ipv6_prefix) ipv6.push_back({*user.ipv6_prefix, "ipv6_prefix", &user});
    if (const auto& prefix = user.delegated_ipv6_prefix)
      ipv6.push_back({*prefix, kDelegated, &user});
  }
  check_placed(document, std::move(ipv4));
  check_placed(document, std::move(ipv6));
}

void check_user_routes(Document& document, const Config& config, const LocalUser& user) {
  Checker checker(document, config, user, kRoutes);
  for (const Ipv4Prefix& network : user.routes.ipv4) checker.check(network);
  for (const Ipv6Prefix& network : user.routes.ipv6) checker.check(network);
  const auto& delegated = user.delegated_ipv6_prefix;
  if (delegated) Checker(document, config, user, kDelegated).check(*delegated);
  if ((user.routes.ipv6.empty() && !delegated) || user.ipv6_prefix) return;
  const std::string pool(choose_pool(config.pools, user.pool.value_or(""), user.groups, {}));
  const auto found = config.pools.find(pool);
  if (found != config.pools.end() && found->second.ipv6_prefixes.empty())
    document.error_at(
        key_of(user, delegated ? kDelegated : kRoutes),
        fmt::format("{} needs IPv6 on the link: give ipv6_prefix, or ipv6_prefixes "
                    "to pool {}",
                    (delegated ? *delegated : user.routes.ipv6.front()).to_string(), pool));
}

}  // namespace pns::config
