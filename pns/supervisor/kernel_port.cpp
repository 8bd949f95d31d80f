// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/kernel_port.hpp"

#include <fmt/format.h>
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

#include "pns/base/unique_fd.hpp"
#include "pns/log/log.hpp"
#include "pns/netlink/objects.hpp"
#include "pns/netlink/route_socket.hpp"
#include "pns/supervisor/kernel_net.hpp"
#include "pns/supervisor/kernel_parameters.hpp"
#include "pns/supervisor/services_interface.hpp"

namespace pns::supervisor {
namespace {

using Result = std::expected<void, std::string>;

using netlink::Link;

constexpr std::uint32_t kDefaultMtu = 1500;

std::unexpected<std::string> port_failure(const std::string& interface, std::string_view what,
                                          int nl_error) {
  return std::unexpected(fmt::format("{}: {}: {}", interface, what, nl_geterror(nl_error)));
}

Link find_link(nl_sock* socket, const std::string& name) {
  rtnl_link* found = nullptr;
  (void)rtnl_link_get_kernel(socket, 0, name.c_str(), &found);
  return Link(found);
}

bool is_veth(rtnl_link* link) {
  const char* const type = rtnl_link_get_type(link);
  return type != nullptr && std::string_view(type) == "veth";
}

Result create_pair(nl_sock* socket, const std::string& name, const std::string& peer) {
  const Link pair(rtnl_link_veth_alloc());
  rtnl_link_set_name(pair.get(), name.c_str());
  rtnl_link* const other = rtnl_link_veth_get_peer(pair.get());  // a reference of its own
  rtnl_link_set_name(other, peer.c_str());
  // DPDK opens one queue of an interface without combined channels.
  for (rtnl_link* const each : {pair.get(), other}) {
    rtnl_link_set_num_tx_queues(each, 1);
    rtnl_link_set_num_rx_queues(each, 1);
  }
  const int error = rtnl_link_add(socket, pair.get(), NLM_F_CREATE | NLM_F_EXCL);
  rtnl_link_put(other);
  return error < 0 ? Result(port_failure(name, "veth", error)) : Result();
}

// One feature of an interface; a kernel that does not know it needs nothing.
Result set_feature(int socket, const std::string& interface, std::uint32_t command, bool on) {
  ethtool_value value{command, on ? 1U : 0U};
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (::ioctl(socket, SIOCETHTOOL, &request) != 0 && errno != EOPNOTSUPP)
    return std::unexpected(
        fmt::format("{}: ethtool command {:#x}: {}", interface, command, std::strerror(errno)));
  return {};
}

// Packets for subscribers leave the host whole: the dataplane computes no checksum and cuts no
// segments. Those of subscribers are put together by the kernel before it routes them (GRO), which
// it does where the peer has no segmentation either.
Result set_features(const std::string& name, const std::string& peer) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return std::unexpected(fmt::format("socket: {}", std::strerror(errno)));
  for (const auto& [interface, command, on] : {std::tuple{&name, ETHTOOL_STXCSUM, false},
                                               {&name, ETHTOOL_STSO, false},
                                               {&name, ETHTOOL_SGSO, false},
                                               {&peer, ETHTOOL_STSO, false},
                                               {&name, ETHTOOL_SGRO, true}})
    if (auto done = set_feature(socket.get(), *interface, static_cast<std::uint32_t>(command), on);
        !done)
      return done;
  return {};
}

Result change(nl_sock* socket, const std::string& name, const MacAddress& mac, std::uint32_t mtu,
              unsigned flags) {
  const Link link = find_link(socket, name);
  if (!link) return std::unexpected(name + ": no such interface");
  const Link wanted(rtnl_link_alloc());
  const netlink::Address hardware = netlink::make_address(mac);
  rtnl_link_set_addr(wanted.get(), hardware.get());
  rtnl_link_set_mtu(wanted.get(), mtu);
  rtnl_link_set_flags(wanted.get(), flags);
  if (const int error = rtnl_link_change(socket, link.get(), wanted.get(), 0); error < 0)
    return port_failure(name, fmt::format("MAC {}, MTU {}", to_string(mac), mtu), error);
  return {};
}

}  // namespace

std::string kernel_port_objection(const config::Port& port) {
  const std::string& name = port.device.interface;
  const std::string peer = port.device.xdp_interface();
  const auto socket = netlink::open_route_socket();
  if (!socket) return socket.error();
  const Link link = find_link(socket->get(), name);
  const Link other = find_link(socket->get(), peer);
  if (!link && !other) return {};
  if (link && other && is_veth(link.get()) && is_veth(other.get()) &&
      rtnl_link_get_link(link.get()) == rtnl_link_get_ifindex(other.get()))
    return {};
  return fmt::format(
      "{} is an interface already, and no pair of veth with {} (choose another name)",
      link ? name : peer, link ? peer : name);
}

Result make_kernel_port(const config::Port& port) {
  const std::string& name = port.device.interface;
  const std::string peer = port.device.xdp_interface();
  if (std::string why = kernel_port_objection(port); !why.empty())
    return std::unexpected(std::move(why));
  remove_kernel_port(port);
  const auto opened = netlink::open_route_socket();
  if (!opened) return std::unexpected(opened.error());
  nl_sock* const socket = opened->get();
  if (auto done = create_pair(socket, name, peer); !done) return done;
  set_parameters(host_kept_off(peer));
  set_parameters(own_addresses_accepted(name));
  set_parameters(ipv6_quiet(name));
  const MacAddress mac = local_mac(0x4b, name);
  const std::uint32_t mtu = port.mtu != 0 ? port.mtu : kDefaultMtu;
  if (auto done = set_features(name, peer); !done) return done;
  if (auto done = change(socket, peer, mac, mtu, 0); !done) return done;
  return change(socket, name, mac, mtu, IFF_UP | IFF_NOARP);
}

Result configure_kernel_port(const config::Config& config, const Networks& sessions,
                             OwnAddresses& had) {
  const config::Port& port = config.ports.core;
  const std::string& name = port.device.interface;
  Networks routes = config::prefixes_of_pools(config);
  if (!routes.ipv6.empty() || !port.ipv6_addresses.empty()) set_parameters(ipv6_enabled(name));
  // The address of a router that this host uses is not this host's.
  const std::set<Ipv4Address> hops = next_hops_of({});
  OwnAddresses own;
  for (const Ipv4Prefix& address : port.addresses)
    if (!hops.contains(address.address)) own.ipv4.insert(address);
  own.ipv6.insert(port.ipv6_addresses.begin(), port.ipv6_addresses.end());
  for (const auto& [pool_name, pool] : config.pools)
    if (hops.contains(pool.gateway))
      log::warn("gateway of a pool not served", {{"pool", pool_name},
                                                 {"gateway", pool.gateway},
                                                 {"reason", "it is a next hop of this host"}});
  if (auto done = replace_addresses(name, had, own); !done) return done;
  routes.ipv4.insert(routes.ipv4.end(), sessions.ipv4.begin(), sessions.ipv4.end());
  routes.ipv6.insert(routes.ipv6.end(), sessions.ipv6.begin(), sessions.ipv6.end());
  const auto tables = tables_of_ways_back(port);
  remove_other_link_routes(name, tables, routes);
  return add_link_routes(name, tables, routes);
}

void remove_kernel_port(const config::Port& port) noexcept {
  if (!kernel_port_objection(port).empty()) return;
  const auto socket = netlink::open_route_socket();
  if (!socket) return;
  if (const Link link = find_link(socket->get(), port.device.interface); link)
    (void)rtnl_link_delete(socket->get(), link.get());
}

}  // namespace pns::supervisor
