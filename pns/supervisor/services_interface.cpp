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
#include <cstring>
#include <set>
#include <utility>
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

std::unexpected<std::string> failed(const std::string& interface, const std::string& what,
                                    int nl_error) {
  return std::unexpected(fmt::format("{}: {}: {}", interface, what, nl_geterror(nl_error)));
}

template <class Prefix>
netlink::Route make_route(int index, std::uint32_t table, const Prefix& to) {
  return netlink::make_route({.interface = index, .table = table, .protocol = kRuleProtocol}, to);
}

// A kernel: port is itself the way back, in the main table.
std::vector<std::uint32_t> tables_of(const config::Port& core) {
  if (core.leads_to_host()) return {RT_TABLE_MAIN};
  std::vector<std::uint32_t> tables{core.services.table};
  if (core.table != 0) tables.push_back(core.table);
  return tables;
}

template <class Prefix>
Result add_routes(nl_sock* socket, int index, const config::Port& core, const Prefix& to) {
  for (const std::uint32_t table : tables_of(core)) {
    const netlink::Route route = make_route(index, table, to);
    const int error = rtnl_route_add(socket, route.get(), NLM_F_EXCL);
    if (error < 0 && error != -NLE_EXIST)
      return failed(core.services.interface,
                    fmt::format("route {} table {}", to.to_string(), table), error);
  }
  return {};
}

std::string text_of(nl_addr* destination) {
  if (destination == nullptr || nl_addr_get_len(destination) == 0) return {};
  const auto length = static_cast<std::uint8_t>(nl_addr_get_prefixlen(destination));
  if (nl_addr_get_family(destination) == AF_INET) {
    be32 wire;
    std::memcpy(&wire, nl_addr_get_binary_addr(destination), sizeof(wire));
    return Ipv4Prefix{Ipv4Address(wire), length}.to_string();
  }
  Ipv6Address::Octets wire{};
  std::memcpy(wire.data(), nl_addr_get_binary_addr(destination), wire.size());
  return Ipv6Prefix{Ipv6Address(wire), length}.to_string();
}

// Our routes out of the interface that nobody wants: of sessions of a dataplane that is gone.
void remove_strays(nl_sock* socket, int index, const Networks& wanted) noexcept {
  std::set<std::string> kept;
  for (const Ipv4Prefix& prefix : wanted.ipv4) kept.insert(prefix.to_string());
  for (const Ipv6Prefix& prefix : wanted.ipv6) kept.insert(prefix.to_string());
  nl_cache* found = nullptr;
  if (rtnl_route_alloc_cache(socket, AF_UNSPEC, 0, &found) < 0) return;
  const netlink::Cache cache(found);
  netlink::for_each<rtnl_route>(cache.get(), [&](rtnl_route* route) {
    if (rtnl_route_get_protocol(route) != kRuleProtocol || rtnl_route_get_nnexthops(route) != 1 ||
        rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0)) != index ||
        kept.contains(text_of(rtnl_route_get_dst(route))))
      return;
    (void)rtnl_route_delete(socket, route, 0);
  });
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

int index_of(const config::Port& core) {
  const std::string& interface =
      core.leads_to_host() ? core.device.interface : core.services.interface;
  return static_cast<int>(::if_nametoindex(interface.c_str()));
}

template <class Prefix>
Result add_subscriber(const config::Port& core, const Prefix& subscriber) {
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  const int index = index_of(core);
  if (index == 0) return {};  // they are off
  return add_routes(socket->get(), index, core, subscriber);
}

template <class Prefix>
void remove_subscriber(const config::Port& core, const Prefix& subscriber) noexcept {
  const auto socket = netlink::open_route_socket();
  const int index = index_of(core);
  if (!socket || index == 0) return;
  for (const std::uint32_t table : tables_of(core))
    (void)rtnl_route_delete(socket->get(), make_route(index, table, subscriber).get(), 0);
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
      nl_addr* const via = rtnl_route_nh_get_gateway(hop);
      if (via == nullptr || nl_addr_get_len(via) != sizeof(be32) ||
          (wanted != 0 && rtnl_route_nh_get_ifindex(hop) != wanted))
        continue;
      be32 wire;
      std::memcpy(&wire, nl_addr_get_binary_addr(via), sizeof(wire));
      hops.insert(Ipv4Address(wire));
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

Result configure_services(const config::Config& config, OldRoutes old_routes) {
  const config::Port& core = config.ports.core;
  const std::string& name = core.services.interface;
  auto opened = netlink::open_route_socket();
  if (!opened) return std::unexpected(opened.error());
  nl_sock* const socket = opened->get();
  rtnl_link* found = nullptr;
  if (const int error = rtnl_link_get_kernel(socket, 0, name.c_str(), &found); error < 0)
    return failed(name, "no such interface", error);
  const Link link(found);
  const int index = rtnl_link_get_ifindex(link.get());

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
    return failed(name, fmt::format("MTU {}, up", mtu), error);

  std::vector<Ipv4Prefix> gateways;
  for (const Ipv4Address gateway : gateways_of(config)) gateways.push_back({gateway, 32});
  if (auto added = add_addresses(name, gateways, {}); !added) return added;
  if (old_routes == OldRoutes::kRemove) remove_strays(socket, index, wanted);
  for (const Ipv4Prefix& prefix : wanted.ipv4)
    if (auto added = add_routes(socket, index, core, prefix); !added) return added;
  for (const Ipv6Prefix& prefix : wanted.ipv6)
    if (auto added = add_routes(socket, index, core, prefix); !added) return added;
  return add_services_rules(core.services, !config.ports.access.has_twin(), !wanted.ipv6.empty());
}

Result add_subscriber_route(const config::Port& core, const Ipv4Prefix& subscriber) {
  return add_subscriber(core, subscriber);
}
Result add_subscriber_route(const config::Port& core, const Ipv6Prefix& subscriber) {
  return add_subscriber(core, subscriber);
}
void remove_subscriber_route(const config::Port& core, const Ipv4Prefix& subscriber) noexcept {
  remove_subscriber(core, subscriber);
}
void remove_subscriber_route(const config::Port& core, const Ipv6Prefix& subscriber) noexcept {
  remove_subscriber(core, subscriber);
}

}  // namespace pns::supervisor
