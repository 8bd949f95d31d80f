// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/kernel_net.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "pns/netlink/cache.hpp"
#include "pns/netlink/objects.hpp"
#include "pns/netlink/route_socket.hpp"
#include "pns/supervisor/kernel_parameters.hpp"
#include "pns/supervisor/policy_rules.hpp"

namespace pns::supervisor {
namespace {

// Frames from the kernel that wait for the dataplane: a reply to each of a crowd that dials at
// once.
constexpr unsigned kTwinQueue = 16384;

constexpr Ipv6Prefix kLinkLocal{{0xfe80'0000'0000'0000, 0}, 64};

using netlink::Address;
using netlink::InterfaceAddress;
using netlink::Link;
using netlink::make_address;
using Socket = std::unique_ptr<nl_sock, netlink::Deleter<nl_sock, nl_socket_free>>;

std::unexpected<std::string> failed(const std::string& interface, std::string_view what,
                                    int nl_error) {
  return std::unexpected(fmt::format("{}: {}: {}", interface, what, nl_geterror(nl_error)));
}

// Routes of one interface.
class RouteWriter {
 public:
  RouteWriter(nl_sock* socket, std::string interface, int index)
      : socket_(socket), interface_(std::move(interface)), index_(index) {}

  // `via`: null for a network of the link.
  template <class Prefix, class Host>
  [[nodiscard]] std::expected<void, std::string> add(std::uint32_t table, const Prefix& to,
                                                     const Host* via, bool may_exist) const {
    constexpr int kHostBits = std::is_same_v<Host, Ipv6Address> ? 128 : 32;
    const Address gateway = via == nullptr ? nullptr : make_address(*via, kHostBits);
    const netlink::Route route =
        netlink::make_route({.interface = index_, .table = table}, to, gateway.get());
    const int error = rtnl_route_add(socket_, route.get(), NLM_F_EXCL);
    if (error == -NLE_EXIST) {
      if (may_exist) return {};
      return std::unexpected(fmt::format("{}: there is a route to {} in table {} already",
                                         interface_, to.to_string(), table));
    }
    if (error < 0)
      return failed(interface_,
                    fmt::format("route {}{} table {}", to.to_string(),
                                via == nullptr ? "" : " via " + via->to_string(), table),
                    error);
    return {};
  }

 private:
  nl_sock* socket_;
  std::string interface_;
  int index_;
};

// A port's routes into its own table, and into the main one those that programs of this host use.
template <class Prefix, class Host, class Routes>
std::expected<void, std::string> add_routes(const RouteWriter& writer, const config::Port& port,
                                            bool to_main, bool may_exist,
                                            const std::vector<Prefix>& addresses,
                                            const Routes& routes,
                                            const std::optional<Host>& gateway) {
  constexpr const Host* kNone = nullptr;
  for (const Prefix& own : addresses) {
    if (own.length == (std::is_same_v<Host, Ipv6Address> ? 128 : 32)) continue;
    // Two addresses of one network have one route.
    const bool repeated = std::ranges::any_of(addresses, [&](const Prefix& other) {
      return &other < &own && other.length == own.length && other.network() == own.network();
    });
    if (repeated) continue;
    if (auto added = writer.add(port.table, own, kNone, may_exist); !added) return added;
  }
  for (const auto& to : routes) {
    if (auto added = writer.add(port.table, to.to, &to.via, may_exist); !added) return added;
    if (!to_main) continue;
    if (auto added = writer.add(RT_TABLE_MAIN, to.to, &to.via, true); !added) return added;
  }
  if (!gateway) return {};
  return writer.add(port.table, Prefix{}, &*gateway, may_exist);
}

template <class Prefix>
std::expected<void, std::string> add_address(nl_sock* socket, const std::string& interface,
                                             int index, const Prefix& own) {
  const InterfaceAddress address(rtnl_addr_alloc());
  const Address local = make_address(own.address, own.length);
  rtnl_addr_set_ifindex(address.get(), index);
  rtnl_addr_set_local(address.get(), local.get());
  // As with IPv4, nobody is asked first whether the address is taken: it is of use at once.
  if constexpr (std::is_same_v<Prefix, Ipv6Prefix>) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
  if (const int error = rtnl_addr_add(socket, address.get(), 0); error < 0 && error != -NLE_EXIST)
    return failed(interface, "address " + own.to_string(), error);
  return {};
}

// One that is gone already is no error.
template <class Prefix>
void remove_address(nl_sock* socket, int index, const Prefix& own) noexcept {
  const InterfaceAddress address(rtnl_addr_alloc());
  const Address local = make_address(own.address, own.length);
  rtnl_addr_set_ifindex(address.get(), index);
  rtnl_addr_set_local(address.get(), local.get());
  (void)rtnl_addr_delete(socket, address.get(), 0);
}

// `kind`: IFF_TAP or IFF_TUN; `word`: it, for messages.
std::expected<UniqueFd, std::string> open_virtual(const std::string& name, int kind,
                                                  std::string_view word) {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd)
    return std::unexpected(
        fmt::format("{} {}: /dev/net/tun: {} (CAP_NET_ADMIN and the tun module are needed)", word,
                    name, std::strerror(errno)));
  ifreq request{};
  request.ifr_flags = static_cast<short>(kind | IFF_NO_PI);
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  // The planes of a supervisor that was killed a moment ago may still hold it.
  constexpr int kTries = 40;
  constexpr auto kPause = std::chrono::milliseconds(50);
  int error = ::ioctl(fd.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
  for (int tries = 0; error == EBUSY && tries < kTries; ++tries) {
    std::this_thread::sleep_for(kPause);
    error = ::ioctl(fd.get(), TUNSETIFF, &request) == 0 ? 0 : errno;
  }
  if (error != 0) {
    const char* hint = error == EBUSY    ? " (another program uses the interface)"
                       : error == EINVAL ? " (an interface of another kind has the name)"
                       : error == EPERM  ? " (CAP_NET_ADMIN is needed)"
                                         : "";
    return std::unexpected(fmt::format("{} {}: {}{}", word, name, std::strerror(error), hint));
  }
  return fd;
}

}  // namespace

std::expected<UniqueFd, std::string> open_tap(const std::string& name) {
  return open_virtual(name, IFF_TAP, "TAP");
}

std::expected<UniqueFd, std::string> open_tun(const std::string& name) {
  return open_virtual(name, IFF_TUN, "TUN");
}

std::expected<void, std::string> replace_addresses(const std::string& interface, OwnAddresses& had,
                                                   const OwnAddresses& wanted) {
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  const auto add = [&](const auto& addresses) -> std::expected<void, std::string> {
    for (const auto& own : addresses)
      if (auto added = add_address(socket->get(), interface, index, own); !added) return added;
    return {};
  };
  const auto remove = [&](const auto& before, const auto& now) {
    for (const auto& own : before)
      if (!now.contains(own)) remove_address(socket->get(), index, own);
  };
  // The new ones first: routes go with the last address of an interface.
  if (auto added = add(wanted.ipv4); !added) return added;
  if (auto added = add(wanted.ipv6); !added) return added;
  remove(had.ipv4, wanted.ipv4);
  remove(had.ipv6, wanted.ipv6);
  had = wanted;
  // An IPv4 address takes the others of its network with it.
  return add(wanted.ipv4);
}

std::expected<void, std::string> add_link_routes(const std::string& interface,
                                                 const std::vector<std::uint32_t>& tables,
                                                 const Networks& networks) {
  const auto socket = netlink::open_route_socket();
  if (!socket) return std::unexpected(socket.error());
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  const auto add = [&](const auto& prefixes) -> std::expected<void, std::string> {
    for (const auto& to : prefixes)
      for (const std::uint32_t table : tables) {
        const netlink::Route route = netlink::make_route(
            {.interface = index, .table = table, .protocol = kRuleProtocol}, to);
        const int error = rtnl_route_add(socket->get(), route.get(), NLM_F_EXCL);
        if (error < 0 && error != -NLE_EXIST)
          return failed(interface, fmt::format("route {} table {}", to.to_string(), table), error);
      }
    return {};
  };
  if (auto added = add(networks.ipv4); !added) return added;
  return add(networks.ipv6);
}

namespace {

// Calls visit(rtnl_route*, Prefix) for each route of kRuleProtocol out of the interface.
template <class Visit>
void for_each_link_route(nl_sock* socket, const std::string& interface, Visit visit) {
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  nl_cache* found = nullptr;
  if (index == 0 || rtnl_route_alloc_cache(socket, AF_UNSPEC, 0, &found) < 0) return;
  const netlink::Cache cache(found);
  netlink::for_each<rtnl_route>(cache.get(), [&](rtnl_route* route) {
    nl_addr* const destination = rtnl_route_get_dst(route);
    if (rtnl_route_get_protocol(route) != kRuleProtocol || rtnl_route_get_nnexthops(route) != 1 ||
        rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0)) != index)
      return;
    if (const auto ipv4 = netlink::read_prefix<Ipv4Prefix>(destination)) visit(route, *ipv4);
    if (const auto ipv6 = netlink::read_prefix<Ipv6Prefix>(destination)) visit(route, *ipv6);
  });
}

}  // namespace

Networks link_routes(const std::string& interface, const std::vector<std::uint32_t>& tables) {
  Networks networks;
  const auto socket = netlink::open_route_socket();
  if (!socket) return networks;
  for_each_link_route(socket->get(), interface, [&](rtnl_route* route, const auto& to) {
    if (std::ranges::find(tables, rtnl_route_get_table(route)) != tables.end()) networks.add(to);
  });
  const auto each_once = [](auto& prefixes) {
    std::ranges::sort(prefixes);
    const auto rest = std::ranges::unique(prefixes);
    prefixes.erase(rest.begin(), rest.end());
  };
  each_once(networks.ipv4);
  each_once(networks.ipv6);
  return networks;
}

void remove_other_link_routes(const std::string& interface,
                              const std::vector<std::uint32_t>& tables,
                              const Networks& kept) noexcept {
  const auto socket = netlink::open_route_socket();
  if (!socket) return;
  const std::set<Ipv4Prefix> ipv4(kept.ipv4.begin(), kept.ipv4.end());
  const std::set<Ipv6Prefix> ipv6(kept.ipv6.begin(), kept.ipv6.end());
  const auto is_kept = [&](const auto& to) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(to)>, Ipv4Prefix>)
      return ipv4.contains(to);
    else
      return ipv6.contains(to);
  };
  for_each_link_route(socket->get(), interface, [&](rtnl_route* route, const auto& to) {
    const bool is_ours =
        std::ranges::find(tables, rtnl_route_get_table(route)) != tables.end() && is_kept(to);
    if (!is_ours) (void)rtnl_route_delete(socket->get(), route, 0);
  });
}

std::expected<void, std::string> configure_twin(const config::Port& port, contract::PortRole role,
                                                const MacAddress& mac, std::uint32_t mtu,
                                                bool routes_may_exist) {
  const std::string& name = port.twin;
  const Socket socket(nl_socket_alloc());
  if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0)
    return failed(name, "netlink", error);
  rtnl_link* found = nullptr;
  if (const int error = rtnl_link_get_kernel(socket.get(), 0, name.c_str(), &found); error < 0)
    return failed(name, "no such interface", error);
  const Link link(found);
  const int index = rtnl_link_get_ifindex(link.get());

  const Link change(rtnl_link_alloc());
  const Address hardware = make_address(mac);
  rtnl_link_set_addr(change.get(), hardware.get());
  rtnl_link_set_mtu(change.get(), mtu);
  rtnl_link_set_txqlen(change.get(), kTwinQueue);
  if (const int error = rtnl_link_change(socket.get(), link.get(), change.get(), 0); error < 0)
    return failed(name, fmt::format("MAC {}, MTU {}", to_string(mac), mtu), error);
  // After the MAC: the kernel makes the link-local address out of it at once, and keeps it.
  set_parameters(port.ipv6_addresses.empty() ? ipv6_quiet(name) : ipv6_allowed(name));
  const Link up(rtnl_link_alloc());
  rtnl_link_set_flags(up.get(), IFF_UP);
  if (const int error = rtnl_link_change(socket.get(), link.get(), up.get(), 0); error < 0)
    return failed(name, "up", error);

  for (const Ipv4Prefix& own : port.addresses)
    if (auto added = add_address(socket.get(), name, index, own); !added) return added;
  for (const Ipv6Prefix& own : port.ipv6_addresses)
    if (auto added = add_address(socket.get(), name, index, own); !added) return added;
  const RouteWriter writer(socket.get(), name, index);
  const bool to_main = role == contract::PortRole::kCore;
  if (auto added = add_routes(writer, port, to_main, routes_may_exist, port.addresses, port.routes,
                              port.gateway);
      !added)
    return added;
  // Packets to link-local addresses must not take the default route of the table.
  if (!port.ipv6_addresses.empty()) {
    constexpr const Ipv6Address* kNone = nullptr;
    if (auto added = writer.add(port.table, kLinkLocal, kNone, routes_may_exist); !added)
      return added;
  }
  if (auto added = add_routes(writer, port, to_main, routes_may_exist, port.ipv6_addresses,
                              port.ipv6_routes, port.ipv6_gateway);
      !added)
    return added;
  return add_rules(port, role);
}

void detach_xdp(const std::string& interface) noexcept {
  const auto socket = netlink::open_route_socket();
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (!socket || index == 0) return;
  nl_msg* message = nlmsg_alloc_simple(RTM_SETLINK, 0);
  if (message == nullptr) return;
  ifinfomsg header{};
  header.ifi_index = index;
  constexpr std::int32_t kNoProgram = -1;
  if (nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO) == 0)
    if (nlattr* xdp = nla_nest_start(message, IFLA_XDP); xdp != nullptr)
      if (nla_put(message, IFLA_XDP_FD, sizeof(kNoProgram), &kNoProgram) == 0) {
        nla_nest_end(message, xdp);
        (void)nl_send_sync(socket->get(), message);  // frees the message
        return;
      }
  nlmsg_free(message);
}

std::vector<Ipv4Address> interface_addresses(const std::string& interface) {
  std::vector<Ipv4Address> addresses;
  for (const Ipv4Prefix& own : interface_networks(interface)) addresses.push_back(own.address);
  return addresses;
}

std::vector<Ipv4Prefix> interface_networks(const std::string& interface) {
  std::vector<Ipv4Prefix> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* item = list; item != nullptr; item = item->ifa_next) {
    if (item->ifa_addr == nullptr || item->ifa_addr->sa_family != AF_INET) continue;
    if (interface != item->ifa_name) continue;
    sockaddr_in address{};
    sockaddr_in mask{};
    std::memcpy(&address, item->ifa_addr, sizeof(address));
    if (item->ifa_netmask != nullptr) std::memcpy(&mask, item->ifa_netmask, sizeof(mask));
    addresses.push_back({Ipv4Address(ntohl(address.sin_addr.s_addr)),
                         static_cast<std::uint8_t>(std::popcount(mask.sin_addr.s_addr))});
  }
  ::freeifaddrs(list);
  return addresses;
}

std::expected<UniqueFd, netlink::BindError> bind_patiently(Ipv4Address address,
                                                           std::uint16_t tcp_port) {
  constexpr int kTries = 20;
  constexpr auto kPause = std::chrono::milliseconds(50);
  auto fd = netlink::bind_tcp(address, tcp_port, true);
  for (int tries = 0; !fd && fd.error().number == EADDRINUSE && tries < kTries; ++tries) {
    std::this_thread::sleep_for(kPause);
    fd = netlink::bind_tcp(address, tcp_port, true);
  }
  return fd;
}

std::expected<UniqueFd, std::string> listen_on(Ipv4Address address, std::uint16_t tcp_port) {
  auto fd = bind_patiently(address, tcp_port);
  if (!fd) return std::unexpected(fd.error().reason);
  const int on = 1;
  if (::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0 ||
      ::listen(fd->get(), kListenBacklog) != 0)
    return std::unexpected(fmt::format("cannot listen on {}:{}: {}", address.to_string(), tcp_port,
                                       std::strerror(errno)));
  return std::move(*fd);
}

std::expected<std::vector<Ipv4Address>, std::string> listen_addresses(
    const config::Config& config) {
  std::vector<Ipv4Address> addresses = config.pptp.listen;
  const config::Port& access = config.ports.access;
  if (addresses.empty()) {
    if (access.has_twin())
      for (const Ipv4Prefix& own : access.addresses) addresses.push_back(own.address);
    else
      addresses = interface_addresses(access.device.interface);
  }
  if (addresses.empty())
    return std::unexpected(
        fmt::format("no address to listen on: {} has no IPv4 address and pptp.listen names none",
                    access.device.text));
  return addresses;
}

std::optional<int> largest_backlog() {
  std::ifstream file("/proc/sys/net/core/somaxconn");
  int value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

std::expected<UniqueFd, std::string> open_gre_guard() {
  UniqueFd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_GRE));
  sock_filter keep_nothing = BPF_STMT(BPF_RET | BPF_K, 0);
  const sock_fprog filter{1, &keep_nothing};
  if (!socket ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0)
    return std::unexpected(std::string("raw GRE socket: ") + std::strerror(errno));
  return socket;
}

}  // namespace pns::supervisor
