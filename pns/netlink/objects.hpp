// SPDX-License-Identifier: BSD-3-Clause
//
// Objects of libnl that free themselves, and how addresses and routes are made and read. Any
// thread.
#pragma once

#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <type_traits>

#include "pns/base/be.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::netlink {

template <class T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const noexcept { Free(object); }
};
using Address = std::unique_ptr<nl_addr, Deleter<nl_addr, nl_addr_put>>;
using InterfaceAddress = std::unique_ptr<rtnl_addr, Deleter<rtnl_addr, rtnl_addr_put>>;
using Link = std::unique_ptr<rtnl_link, Deleter<rtnl_link, rtnl_link_put>>;
using Route = std::unique_ptr<rtnl_route, Deleter<rtnl_route, rtnl_route_put>>;

[[nodiscard]] inline Address make_address(Ipv4Address address, int prefix_length) {
  const be32 wire = address.wire();
  Address result(nl_addr_build(AF_INET, &wire, sizeof(wire)));
  nl_addr_set_prefixlen(result.get(), prefix_length);
  return result;
}

[[nodiscard]] inline Address make_address(const Ipv6Address& address, int prefix_length) {
  const auto wire = address.wire();
  Address result(nl_addr_build(AF_INET6, wire.data(), wire.size()));
  nl_addr_set_prefixlen(result.get(), prefix_length);
  return result;
}

[[nodiscard]] inline Address make_address(const MacAddress& mac) {
  return Address(nl_addr_build(AF_LLC, mac.data(), mac.size()));
}

// Empty: null, of another family, or without octets, as in the destination of a default route.
template <class IpAddress>
[[nodiscard]] std::optional<IpAddress> read_address(const nl_addr* from) noexcept {
  constexpr int kFamily = std::is_same_v<IpAddress, Ipv6Address> ? AF_INET6 : AF_INET;
  decltype(IpAddress{}.wire()) wire{};
  if (from == nullptr || nl_addr_get_family(from) != kFamily ||
      nl_addr_get_len(from) != sizeof(wire))
    return std::nullopt;
  std::memcpy(&wire, nl_addr_get_binary_addr(from), sizeof(wire));
  return IpAddress(wire);
}

// The destination of a route. Empty: null, or of another family.
template <class Prefix>
[[nodiscard]] std::optional<Prefix> read_prefix(const nl_addr* from) noexcept {
  using IpAddress = decltype(Prefix{}.address);
  constexpr int kFamily = std::is_same_v<Prefix, Ipv6Prefix> ? AF_INET6 : AF_INET;
  constexpr unsigned kBits = 8 * sizeof(decltype(IpAddress{}.wire()));
  if (from == nullptr || nl_addr_get_family(from) != kFamily || nl_addr_get_prefixlen(from) > kBits)
    return std::nullopt;
  return Prefix{read_address<IpAddress>(from).value_or(IpAddress{}),
                static_cast<std::uint8_t>(nl_addr_get_prefixlen(from))};
}

struct RouteSettings {
  int interface = 0;  // index
  std::uint32_t table = RT_TABLE_MAIN;
  std::uint8_t protocol = RTPROT_STATIC;
  std::uint32_t metric = 0;  // 0: the kernel's
};

// A route out of an interface. `via`: null for a network of the link. It names no source, so that
// it does not go with an address.
template <class Prefix>
[[nodiscard]] Route make_route(const RouteSettings& settings, const Prefix& to,
                               nl_addr* via = nullptr) {
  Route route(rtnl_route_alloc());
  const Address destination = make_address(to.network(), to.length);
  rtnl_route_set_family(route.get(), std::is_same_v<Prefix, Ipv6Prefix> ? AF_INET6 : AF_INET);
  rtnl_route_set_table(route.get(), settings.table);
  rtnl_route_set_protocol(route.get(), settings.protocol);
  rtnl_route_set_scope(route.get(), via == nullptr ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE);
  if (settings.metric != 0) rtnl_route_set_priority(route.get(), settings.metric);
  rtnl_route_set_dst(route.get(), destination.get());
  rtnl_nexthop* const hop = rtnl_route_nh_alloc();
  rtnl_route_nh_set_ifindex(hop, settings.interface);
  if (via != nullptr) rtnl_route_nh_set_gateway(hop, via);
  rtnl_route_add_nexthop(route.get(), hop);  // the route owns the hop now
  return route;
}

}  // namespace pns::netlink
