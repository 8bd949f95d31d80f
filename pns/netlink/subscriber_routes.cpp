// SPDX-License-Identifier: BSD-3-Clause
#include "pns/netlink/subscriber_routes.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <utility>

#include "pns/netlink/objects.hpp"

namespace pns::netlink {
namespace {

// More than any route of an operator or a routing daemon is likely to have.
constexpr std::uint32_t kMetric = 30'000;

std::uint32_t table_of(const SubscriberRoutes::Place& place) noexcept {
  return place.table == 0 ? std::uint32_t{RT_TABLE_MAIN} : place.table;
}

// Null: there is no such interface.
template <class Prefix>
Route route_at(const SubscriberRoutes::Place& place, const Prefix& network) {
  const unsigned index = ::if_nametoindex(place.interface.c_str());
  if (index == 0) return nullptr;
  return make_route({.interface = static_cast<int>(index),
                     .table = table_of(place),
                     .protocol = kSubscriberRouteProtocol,
                     .metric = kMetric},
                    network);
}

std::unexpected<std::string> failed(const std::string& text, int error) {
  return std::unexpected(text + ": " + nl_geterror(error));
}

template <class Prefix>
std::expected<void, std::string> change(nl_sock* socket, const SubscriberRoutes::Place& place,
                                        const Prefix& network, bool add) {
  const Route route = route_at(place, network);
  // Routes go with their interface.
  if (!route && !add) return {};
  if (!route) return std::unexpected(place.interface + ": no such interface");
  const int error = add ? rtnl_route_add(socket, route.get(), NLM_F_EXCL)
                        : rtnl_route_delete(socket, route.get(), 0);
  if (error >= 0 || error == (add ? -NLE_EXIST : -NLE_OBJ_NOTFOUND)) return {};
  return failed(network.to_string() + " dev " + place.interface, error);
}

// The result of a dump so far.
struct Dump {
  unsigned interface = 0;
  std::uint32_t table = 0;
  Networks found{};
};

template <class Prefix>
void take_route(const Dump& dump, rtnl_route* route, std::vector<Prefix>& found) {
  if (rtnl_route_get_protocol(route) != kSubscriberRouteProtocol ||
      rtnl_route_get_table(route) != dump.table || rtnl_route_get_nnexthops(route) != 1 ||
      rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(route, 0)) != static_cast<int>(dump.interface))
    return;
  nl_addr* const destination = rtnl_route_get_dst(route);
  const auto address = read_address<decltype(Prefix{}.address)>(destination);
  if (!address) return;
  const Prefix network{*address, static_cast<std::uint8_t>(nl_addr_get_prefixlen(destination))};
  found.push_back({network.network(), network.length});
}

int on_route(nl_msg* message, void* argument) {
  Dump& dump = *static_cast<Dump*>(argument);
  rtnl_route* parsed = nullptr;
  if (rtnl_route_parse(nlmsg_hdr(message), &parsed) < 0) return NL_SKIP;
  const Route route(parsed);
  if (rtnl_route_get_family(parsed) == AF_INET) take_route(dump, parsed, dump.found.ipv4);
  if (rtnl_route_get_family(parsed) == AF_INET6) take_route(dump, parsed, dump.found.ipv6);
  return NL_OK;
}

// The kernel tells only what has our protocol, where it can select (4.20).
int ask_routes(nl_sock* socket, int family) {
  nl_msg* const message = nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_DUMP);
  if (message == nullptr) return -NLE_NOMEM;
  rtmsg header{};
  header.rtm_family = static_cast<std::uint8_t>(family);
  header.rtm_protocol = kSubscriberRouteProtocol;
  int error = nlmsg_append(message, &header, sizeof(header), NLMSG_ALIGNTO);
  if (error >= 0) error = nl_send_auto(socket, message);
  nlmsg_free(message);
  return error < 0 ? error : nl_recvmsgs_default(socket);
}

}  // namespace

std::expected<SubscriberRoutes, std::string> SubscriberRoutes::open(Place place) {
  auto socket = open_route_socket();
  if (!socket) return std::unexpected(std::move(socket.error()));
  return SubscriberRoutes(std::move(*socket), std::move(place));
}

std::expected<void, std::string> SubscriberRoutes::add(const Ipv4Prefix& network) const {
  return change(socket_.get(), place_, network, true);
}

std::expected<void, std::string> SubscriberRoutes::add(const Ipv6Prefix& network) const {
  return change(socket_.get(), place_, network, true);
}

std::expected<void, std::string> SubscriberRoutes::remove(const Ipv4Prefix& network) const {
  return change(socket_.get(), place_, network, false);
}

std::expected<void, std::string> SubscriberRoutes::remove(const Ipv6Prefix& network) const {
  return change(socket_.get(), place_, network, false);
}

std::expected<Networks, std::string> SubscriberRoutes::list() const {
  Dump dump{.interface = ::if_nametoindex(place_.interface.c_str()), .table = table_of(place_)};
  if (dump.interface == 0) return Networks{};
  auto socket = open_route_socket();
  if (!socket) return std::unexpected(std::move(socket.error()));
  const int on = 1;
  (void)::setsockopt(nl_socket_get_fd(socket->get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on,
                     sizeof(on));
  (void)nl_socket_modify_cb(socket->get(), NL_CB_VALID, NL_CB_CUSTOM, on_route, &dump);
  for (const int family : {AF_INET, AF_INET6})
    if (const int error = ask_routes(socket->get(), family); error < 0)
      return failed("routes of " + place_.interface, error);
  return std::move(dump.found);
}

}  // namespace pns::netlink
