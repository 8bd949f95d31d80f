// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/address_checks.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "pns/base/ip_ranges.hpp"
#include "pns/base/networks.hpp"

namespace pns::config {
namespace {

class AddressChecks {
 public:
  AddressChecks(const Config& config, Document& document) : config_(config), document_(document) {
    place_pools();
  }

  void run() {
    for (const Placed& range : placed_) check_range(range);
    check_ipv6_addresses();
    check_ports();
  }

 private:
  // A range of a pool, and its key.
  struct Placed {
    Ipv4Range range;
    std::string key;
  };

  void place_pools() {
    for (const auto& [name, pool] : config_.pools)
      for (std::size_t i = 0; i < pool.ranges.size(); ++i) {
        const std::string key = fmt::format("pools.{}.ranges.{}", name, i);
        for (const Placed& other : placed_)
          if (other.range.overlaps(pool.ranges[i]))
            document_.error_at(key,
                               fmt::format("overlaps {}-{} of {}", other.range.first.to_string(),
                                           other.range.last.to_string(), other.key));
        placed_.push_back({pool.ranges[i], key});
      }
  }

  void check_range(const Placed& range) {
    for (const auto& [name, pool] : config_.pools)
      if (range.range.contains(pool.gateway))
        document_.error_at(fmt::format("pools.{}.gateway", name),
                           fmt::format("{} is inside {}", pool.gateway.to_string(), range.key));
    for (const auto& [role, port] : named_ports(config_)) {
      for (const Ipv4Prefix& own : port->addresses)
        if (range.range.contains(own.address))
          document_.error_at(range.key, fmt::format("contains {}, which is of ports.{}.addresses",
                                                    own.address.to_string(), role));
      if (role == "core") check_core_network(range, *port);
    }
    for (const Ipv4Address listen : config_.pptp.listen)
      if (range.range.contains(listen))
        document_.error_at(range.key,
                           fmt::format("contains {}, which is of pptp.listen", listen.to_string()));
  }

  void check_ports() {
    const auto& [access, core] = config_.ports;
    for (const Ipv4Prefix& a : access.addresses)
      for (const Ipv4Prefix& b : core.addresses)
        if (config_.ports.one_link() || (core.leads_to_host() && b.length == 32))
          continue;  // of the same link; an address of this host, and no network
        else if (a.contains(b.network()) || b.contains(a.network()))
          document_.error_at("ports.core.addresses",
                             fmt::format("{} and {} of ports.access.addresses are one network",
                                         b.to_string(), a.to_string()));
    if (!access.device.text.empty() && access.has_twin() && access.addresses.empty() &&
        config_.pptp.listen.empty())
      document_.error_at("ports.access.addresses",
                         "must be given when pptp.listen is not: there is no address to listen on");
  }

  // A pool may lie in the core network, whose routers keep their addresses.
  void check_core_network(const Placed& range, const Port& core) {
    if (core.gateway && range.range.contains(*core.gateway))
      document_.error_at(range.key, fmt::format("contains {}, which is ports.core.gateway",
                                                core.gateway->to_string()));
    for (const Route& route : core.routes)
      if (range.range.contains(route.via))
        document_.error_at(range.key,
                           fmt::format("contains {}, which is a next hop of ports.core.routes",
                                       route.via.to_string()));
  }

  void check_ipv6_addresses() {
    for (const auto& [name, pool] : config_.pools) {
      check_ipv6_prefixes("pools." + name + ".ipv6_prefixes", pool.ipv6_prefixes);
      check_ipv6_prefixes("pools." + name + ".delegated_prefixes", pool.delegated_prefixes);
    }
  }

  void check_ipv6_prefixes(const std::string& list, const std::vector<Ipv6Prefix>& prefixes) {
    for (std::size_t i = 0; i < prefixes.size(); ++i) {
      const Ipv6Prefix& prefix = prefixes[i];
      const std::string key = fmt::format("{}.{}", list, i);
      for (const auto& [other, other_key] : placed_ipv6_)
        if (overlap(prefix, other))
          document_.error_at(key, fmt::format("overlaps {} of {}", other.to_string(), other_key));
      for (const auto& [role, port] : named_ports(config_))
        for (const Ipv6Prefix& own : port->ipv6_addresses)
          // A pool may be a part of the core network that has none of our addresses.
          if (overlap(prefix, own) &&
              (role != "core" || own.length >= prefix.length || prefix.contains(own.address)))
            document_.error_at(
                key, fmt::format("overlaps {} of ports.{}.addresses", own.to_string(), role));
      placed_ipv6_.emplace_back(prefix, key);
    }
  }

  const Config& config_;
  Document& document_;
  std::vector<Placed> placed_;
  std::vector<std::pair<Ipv6Prefix, std::string>> placed_ipv6_;
};

}  // namespace

void check_addresses(const Config& config, Document& document) {
  AddressChecks(config, document).run();
}

}  // namespace pns::config
