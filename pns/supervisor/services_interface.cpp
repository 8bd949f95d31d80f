// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/services_interface.hpp"

#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <vector>

#include "pns/log/log.hpp"
#include "pns/netlink/cache.hpp"
#include "pns/netlink/objects.hpp"
#include "pns/netlink/route_socket.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "pns/supervisor/kernel_parameters.hpp"
#include "pns/supervisor/policy_rules.hpp"

namespace pns::supervisor {
namespace {

using Result = std::expected<void, std::string>;

// Packets from the kernel that wait for the dataplane.
constexpr unsigned kQueue = 4096;
constexpr std::uint32_t kMppeOverhead = 4;       // RFC 3078 §3.1, with its protocol field
constexpr std::uint32_t kIpv6MinimumMtu = 1280;  // RFC 8200 §5

using netlink::Link;

std::unexpected<std::string> interface_failure(const std::string& interface,
                                               const std::string& what, int nl_error) {
  return std::unexpected(fmt::format("{}: {}: {}", interface, what, nl_geterror(nl_error)));
}

// The gateways of the pools that may be addresses of this host. A router that is a next hop has its
// address already, and the host could not reach it any more.
std::set<Ipv4Address> gateways_of(const config::Config& config) {
  std::set<Ipv4Address> hops;
  for (const config::Port* port : {&config.ports.access, &config.ports.core}) {
    if (port->gateway) hops.insert(*port->gateway);
    for (const config::Route& route : port->routes) hops.insert(route.via);
  }
  hops.merge(next_hops_of({}));
  const config::Port& core = config.ports.core;
  std::set<Ipv4Address> own;
  for (const Ipv4Prefix& address : core.addresses) own.insert(address.address);
  if (!core.has_twin())
    for (const Ipv4Address address : interface_addresses(core.device.interface))
      own.insert(address);
  std::set<Ipv4Address> gateways;
  for (const auto& [name, pool] : config.pools) {
    if (own.contains(pool.gateway)) continue;
    if (hops.contains(pool.gateway))
      log::warn(
          "gateway of a pool not served",
          {{"pool", name}, {"gateway", pool.gateway}, {"reason", "it is a next hop of this host"}});
    else
      gateways.insert(pool.gateway);
  }
  return gateways;
}

}  // namespace

std::set<Ipv4Address> next_hops_of(const std::string& interface) {
  std::set<Ipv4Address> hops;
  const int wanted = interface.empty() ? 0 : static_cast<int>(::if_nametoindex(interface.c_str()));
  const auto socket = netlink::open_route_socket();
  nl_cache* found = nullptr;
  if (!socket || (!interface.empty() && wanted == 0) ||
      rtnl_route_alloc_cache(socket->get(), AF_INET, 0, &found) < 0)
    return hops;
  const netlink::Cache cache(found);
  netlink::for_each<rtnl_route>(cache.get(), [&](rtnl_route* route) {
    for (int n = 0; n < rtnl_route_get_nnexthops(route); ++n) {
      rtnl_nexthop* const hop = rtnl_route_nexthop_n(route, n);
      const auto via = netlink::read_address<Ipv4Address>(rtnl_route_nh_get_gateway(hop));
      if (via && (wanted == 0 || rtnl_route_nh_get_ifindex(hop) == wanted)) hops.insert(*via);
    }
  });
  return hops;
}

std::uint32_t services_mtu(const config::Config& config) noexcept {
  const bool may_encrypt = config.ppp.mppe.policy != config::MppePolicy::kOff;
  const std::uint32_t mtu = config.ppp.mtu - (may_encrypt ? kMppeOverhead : 0);
  // Below it the kernel takes no IPv6, and a session carries as much whatever its MTU is.
  return std::max(mtu, kIpv6MinimumMtu);
}

Result configure_services(const config::Config& config, Old old, OwnAddresses& had) {
  const config::Port& core = config.ports.core;
  const std::string& name = core.services.interface;
  auto opened = netlink::open_route_socket();
  if (!opened) return std::unexpected(opened.error());
  nl_sock* const socket = opened->get();
  rtnl_link* found = nullptr;
  if (const int error = rtnl_link_get_kernel(socket, 0, name.c_str(), &found); error < 0)
    return interface_failure(name, "no such interface", error);
  const Link link(found);

  const Networks wanted = config::prefixes_of_pools(config);
  set_parameters(ipv6_quiet(name));
  set_parameters(ipv6_taken(name));
  const Link change(rtnl_link_alloc());
  const std::uint32_t mtu = services_mtu(config);
  rtnl_link_set_mtu(change.get(), mtu);
  rtnl_link_set_txqlen(change.get(), kQueue);
  rtnl_link_unset_flags(change.get(), IFF_MULTICAST);
  rtnl_link_set_flags(change.get(), IFF_UP);
  if (const int error = rtnl_link_change(socket, link.get(), change.get(), 0); error < 0)
    return interface_failure(name, fmt::format("MTU {}, up", mtu), error);

  OwnAddresses addresses;
  for (const Ipv4Address gateway : gateways_of(config)) addresses.ipv4.insert({gateway, 32});
  if (old == Old::kKeep) addresses.ipv4.insert(had.ipv4.begin(), had.ipv4.end());
  if (auto replaced = replace_addresses(name, had, addresses); !replaced) return replaced;
  const auto tables = tables_of_ways_back(core);
  if (old == Old::kRemove) remove_other_link_routes(name, tables, wanted);
  if (auto added = add_link_routes(name, tables, wanted); !added) return added;
  return set_services_rules(config.ports, !wanted.ipv6.empty());
}

void switch_off_services(const config::Ports& ports, OwnAddresses& had) noexcept {
  config::Ports off = ports;
  off.core.services.enabled = false;
  (void)set_services_rules(off, false);
  const std::string& name = ports.core.services.interface;
  (void)replace_addresses(name, had, {});
  const auto socket = netlink::open_route_socket();
  rtnl_link* found = nullptr;
  if (!socket || rtnl_link_get_kernel(socket->get(), 0, name.c_str(), &found) < 0) return;
  const Link link(found);
  const Link down(rtnl_link_alloc());
  rtnl_link_unset_flags(down.get(), IFF_UP);
  (void)rtnl_link_change(socket->get(), link.get(), down.get(), 0);
}

std::vector<std::uint32_t> tables_of_ways_back(const config::Port& core) {
  if (core.leads_to_host()) return {RT_TABLE_MAIN};
  std::vector<std::uint32_t> tables{core.services.table};
  if (core.table != 0) tables.push_back(core.table);
  return tables;
}

Result add_way_back(const config::Port& core, const Networks& subscriber) {
  const std::string& name = interface_of_ways_back(core);
  if (::if_nametoindex(name.c_str()) == 0) return {};  // they are off
  return add_link_routes(name, tables_of_ways_back(core), subscriber);
}

void remove_way_back(const config::Port& core, const Networks& subscriber) noexcept {
  const auto socket = netlink::open_route_socket();
  const auto index = static_cast<int>(::if_nametoindex(interface_of_ways_back(core).c_str()));
  if (!socket || index == 0) return;
  const auto remove = [&](const auto& prefixes) {
    for (const auto& to : prefixes)
      for (const std::uint32_t table : tables_of_ways_back(core))
        (void)rtnl_route_delete(
            socket->get(),
            netlink::make_route({.interface = index, .table = table, .protocol = kRuleProtocol}, to)
                .get(),
            0);
  };
  remove(subscriber.ipv4);
  remove(subscriber.ipv6);
}

}  // namespace pns::supervisor
