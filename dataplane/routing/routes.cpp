// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/routes.hpp"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <netlink/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/routing/broadcast_networks.hpp"
#include "dataplane/routing/mapped_address.hpp"
#include "pns/log/log.hpp"
#include "pns/netlink/cache.hpp"
#include "pns/netlink/objects.hpp"
#include "pns/netlink/subscriber_routes.hpp"

namespace pns::dataplane {
namespace {

constexpr int kMaxDrains = 16;
constexpr std::array kRoles = {contract::PortRole::kAccess, contract::PortRole::kCore};
constexpr std::uint64_t kBehindOwnTable = std::uint64_t{1} << 32;  // more than any metric
// Time from the last computation of all routes to the next, for each route and neighbour there is,
// those of the kernel that are not ours included: they are read too.
// One takes less than a microsecond, so that main spends less than a tenth of its time on them.
constexpr std::uint64_t kRebuildPauseNs = 10'000;
constexpr std::uint64_t kKeepIntervalNs = 30'000'000'000;
constexpr std::size_t kMostKeptAtOnce = 64;  // of one on_timer()
constexpr int kSetStates = NUD_PERMANENT | NUD_NOARP;
constexpr int kUsableStates =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

// An address of either family, IPv4 mapped.
std::optional<Ipv6Address> address_of(nl_addr* address) noexcept {
  if (const auto ipv4 = netlink::read_address<Ipv4Address>(address)) return mapped(*ipv4);
  return netlink::read_address<Ipv6Address>(address);
}

bool is_multicast(const Ipv6Address& address) noexcept {
  return is_mapped(address) ? unmapped(address).is_multicast() : address.is_multicast();
}

// Told to have no next hop, whatever interface.
bool is_refusal(rtnl_route* route) noexcept {
  const int type = rtnl_route_get_type(route);
  return type == RTN_UNREACHABLE || type == RTN_BLACKHOLE || type == RTN_PROHIBIT;
}

// The destination is the first field of an Ethernet header. A frame that came out of a tunnel may
// lie at any address.
void write_destination(rte_mbuf* packet, const MacAddress& mac) noexcept {
  std::memcpy(rte_pktmbuf_mtod(packet, std::uint8_t*), mac.data(), mac.size());
}

// The MAC address of a neighbour that can be used.
std::optional<MacAddress> usable_mac(rtnl_neigh* entry) noexcept {
  nl_addr* const mac = rtnl_neigh_get_lladdr(entry);
  if (mac == nullptr || nl_addr_get_len(mac) != 6 ||
      (rtnl_neigh_get_state(entry) & kUsableStates) == 0)
    return std::nullopt;
  MacAddress octets{};
  std::memcpy(octets.data(), nl_addr_get_binary_addr(mac), octets.size());
  if ((octets[0] & 1) != 0) return std::nullopt;
  return octets;
}

// The next hops of a kernel's route that leave by `ifindex`. Those whose link is gone count only
// when there are no others.
std::vector<RouteTable::Member> members_of(rtnl_route* route, int ifindex,
                                           contract::PortRole port) {
  std::vector<RouteTable::Member> alive;
  std::vector<RouteTable::Member> dead;
  for (int n = 0; n < rtnl_route_get_nnexthops(route); ++n) {
    rtnl_nexthop* const hop = rtnl_route_nexthop_n(route, n);
    if (rtnl_route_nh_get_ifindex(hop) != ifindex) continue;
    const bool is_dead = (rtnl_route_nh_get_flags(hop) & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0;
    (is_dead ? dead : alive)
        .push_back({{NextHopKind::kGlean, port,
                     address_of(rtnl_route_nh_get_gateway(hop)).value_or(Ipv6Address())},
                    static_cast<std::uint16_t>(rtnl_route_nh_get_weight(hop) + 1)});
  }
  return alive.empty() ? dead : alive;
}

// Members in an order that does not depend on the kernel's: the same ones are the same group.
RouteTable::Way way_of(std::vector<RouteTable::Member> members) {
  if (members.empty()) return {};
  std::ranges::sort(members);
  const auto repeated = std::ranges::unique(
      members, [](const auto& one, const auto& other) { return one.hop == other.hop; });
  members.erase(repeated.begin(), repeated.end());
  if (members.size() > RouteTable::kMaxMembers) members.resize(RouteTable::kMaxMembers);
  if (members.size() == 1) return {members.front().hop};
  return {{}, std::move(members)};
}

// The destination of a kernel's route.
Ipv6Prefix prefix_of(rtnl_route* route) noexcept {
  const bool ipv4 = rtnl_route_get_family(route) == AF_INET;
  nl_addr* const destination = rtnl_route_get_dst(route);
  const unsigned bits = destination == nullptr ? 0U : nl_addr_get_prefixlen(destination);
  // The default route's destination has no octets.
  const Ipv6Address any = ipv4 ? mapped(Ipv4Address()) : Ipv6Address();
  return {address_of(destination).value_or(any),
          static_cast<std::uint8_t>(bits + (ipv4 ? kMappedBits : 0U))};
}

}  // namespace

Routes::Routes(RoutingTables tables, Settings settings, Release release, Unanswered unanswered,
               Tell tell)
    : settings_(std::move(settings)),
      release_(std::move(release)),
      outer_("outer", tables.outer, links_, {}, settings_.quiescence),
      inner_("inner", tables.inner, links_, settings_.pools, settings_.quiescence),
      unanswered_(std::move(unanswered)),
      tell_(std::move(tell)),
      resolving_(
          {.ask =
               [this](const Neighbour& who) {
                 kept_.insert(who);
                 tell_kernel(netlink::NeighbourVerb::kAsk, who);
               },
           .forget =
               [this](const Neighbour& who) { tell_kernel(netlink::NeighbourVerb::kForget, who); },
           .lose = [this](const Neighbour& who, rte_mbuf* packet,
                          DropReason reason) { lose(who, packet, reason); }}) {
  for (std::size_t i = 0; i < contract::kPorts; ++i) links_.ours[i] = settings_.ports[i].mac;
}

Routes::~Routes() {
  if (manager_ != nullptr) nl_cache_mngr_free(manager_);
}

std::expected<void, std::string> Routes::start() {
  const auto failed = [](const char* what, int error) {
    return std::unexpected(fmt::format("netlink: {}: {}", what, nl_geterror(error)));
  };
  if (!tell_) {
    auto requests = netlink::NeighbourRequests::open();
    if (!requests) return std::unexpected(requests.error());
    requests_ = std::move(*requests);
  }
  events_.reset(nl_socket_alloc());
  if (!events_) return failed("event socket", NLE_NOMEM);
  (void)nl_socket_modify_cb(events_.get(), NL_CB_MSG_IN, NL_CB_CUSTOM, on_event, this);
  if (const int error = nl_cache_mngr_alloc(events_.get(), NETLINK_ROUTE, 0, &manager_); error < 0)
    return failed("cache manager", error);
  const change_func_t on_change = [](nl_cache*, nl_object*, int, void* self) {
    static_cast<Routes*>(self)->changed_ = true;
  };
  const change_func_t on_neighbour_change = [](nl_cache*, nl_object* object, int action,
                                               void* self) {
    static_cast<Routes*>(self)->on_neighbour(reinterpret_cast<rtnl_neigh*>(object),
                                             action == NL_ACT_DEL);
  };
  const change_func_t on_route_change = [](nl_cache*, nl_object* object, int, void* self) {
    Routes& routes = *static_cast<Routes*>(self);
    routes.changed_ |= routes.may_be_ours(reinterpret_cast<rtnl_route*>(object));
  };
  struct Watched {
    const char* name;
    change_func_t changed;
    nl_cache** cache;
  };
  for (const Watched& watched : {Watched{"route/addr", on_change, &address_cache_},
                                 Watched{"route/neigh", on_neighbour_change, &neighbour_cache_},
                                 Watched{"route/route", on_route_change, &route_cache_}})
    if (const int error =
            nl_cache_mngr_add(manager_, watched.name, watched.changed, this, watched.cache);
        error < 0)
      return failed(watched.name, error);
  rebuild(0);
  return {};
}

// The caches miss two things. One next hop of an IPv6 route may go alone: the kernel tells so, and
// libnl 3.7 keeps it. Routes may go with an address, after the kernel has told of that and without
// a word of their own.
int Routes::on_event(nl_msg* message, void* self) {
  Routes& routes = *static_cast<Routes*>(self);
  nlmsghdr* const header = nlmsg_hdr(message);
  if (header->nlmsg_type == RTM_DELADDR) {
    routes.address_gone_ = true;
  } else if (header->nlmsg_type == RTM_DELROUTE &&
             nlmsg_datalen(header) >= static_cast<int>(sizeof(rtmsg))) {
    rtmsg route{};
    std::memcpy(&route, nlmsg_data(header), sizeof(route));
    if (route.rtm_family == AF_INET6 && route.rtm_table != RT_TABLE_LOCAL)
      routes.on_ipv6_route_gone(header);
  }
  return NL_OK;
}

// The cache follows by itself where the route has one gateway, and is no other route of equal cost
// beside it. Else all routes are read anew.
void Routes::on_ipv6_route_gone(nlmsghdr* header) {
  rtnl_route* parsed = nullptr;
  if (rtnl_route_parse(header, &parsed) < 0) {
    routes_stale_ = changed_ = true;
    return;
  }
  const netlink::Route gone(parsed);
  if (!may_be_ours(gone.get())) return;
  const int count = rtnl_route_get_nnexthops(gone.get());
  bool by_our_port = count == 0;
  for (int n = 0; n < count; ++n)
    for (const contract::PortRole port :
         ports_of(rtnl_route_nh_get_ifindex(rtnl_route_nexthop_n(gone.get(), n))))
      by_our_port |= !settings_.ports[static_cast<std::size_t>(port)].leads_to_host;
  if (!by_our_port) return;
  changed_ = true;
  const auto gateway_of = [](rtnl_route* route) {
    return rtnl_route_get_nnexthops(route) == 1
               ? address_of(rtnl_route_nh_get_gateway(rtnl_route_nexthop_n(route, 0)))
               : std::nullopt;
  };
  const netlink::Route known(reinterpret_cast<rtnl_route*>(
      nl_cache_search(route_cache_, reinterpret_cast<nl_object*>(gone.get()))));
  if (!known) return;
  const auto gateway = gateway_of(gone.get());
  if (!gateway || gateway_of(known.get()) != gateway) routes_stale_ = true;
}

bool Routes::may_be_ours(rtnl_route* route) const {
  const std::uint32_t table = rtnl_route_get_table(route);
  const auto is_its = [table](const PortInfo& port) { return port.table == table; };
  return rtnl_route_get_protocol(route) != netlink::kSubscriberRouteProtocol &&
         (table == RT_TABLE_MAIN || std::ranges::any_of(settings_.ports, is_its));
}

void Routes::refill_routes() {
  ++refills_;
  if (const auto socket = netlink::open_route_socket())
    (void)nl_cache_refill(socket->get(), route_cache_);
}

int Routes::fd() const noexcept { return nl_cache_mngr_get_fd(manager_); }

void Routes::on_readable(std::uint64_t now_ns) {
  if (nl_cache_mngr_data_ready(manager_) < 0) {
    // Events were lost (socket overrun): read everything anew. The queued events go first: while
    // they are there the kernel throws further ones away, and tells of such a run of losses only
    // once.
    for (int n = 0; n < kMaxDrains && nl_cache_mngr_data_ready(manager_) < 0; ++n) {
    }
    if (const auto socket = netlink::open_route_socket())
      for (nl_cache* cache : {address_cache_, neighbour_cache_})
        (void)nl_cache_refill(socket->get(), cache);
    refill_routes();
    changed_ = true;
  }
  // Neighbours one by one: they change all the time, routes do not.
  for (const Neighbour& neighbour : std::exchange(changed_neighbours_, {}))
    update(neighbour, now_ns);
  (void)rebuild_if_due(now_ns);
}

bool Routes::rebuild_if_due(std::uint64_t now_ns) {
  if (!changed_ || now_ns < next_rebuild_ns_) return false;
  changed_ = false;
  if (std::exchange(routes_stale_, false)) refill_routes();
  rebuild(now_ns);
  const auto of_kernel = static_cast<std::size_t>(nl_cache_nitems(route_cache_));
  next_rebuild_ns_ = now_ns + kRebuildPauseNs * (routes() + neighbours() + of_kernel);
  return true;
}

std::vector<contract::PortRole> Routes::ports_of(int ifindex) const {
  std::vector<contract::PortRole> ports;
  for (const contract::PortRole port : kRoles)
    if (ifindex != 0 && ifindex_[static_cast<std::size_t>(port)] == ifindex) ports.push_back(port);
  return ports;
}

std::vector<Routes::Neighbour> Routes::neighbours_of(rtnl_neigh* entry) const {
  std::vector<Neighbour> all;
  const auto address = address_of(rtnl_neigh_get_dst(entry));
  if (!address || is_multicast(*address)) return all;
  for (const contract::PortRole port : ports_of(rtnl_neigh_get_ifindex(entry)))
    all.emplace_back(port, *address);
  return all;
}

void Routes::read_neighbours() {
  links_.neighbours.clear();
  changed_neighbours_.clear();
  permanent_.clear();
  netlink::for_each<rtnl_neigh>(neighbour_cache_, [&](rtnl_neigh* entry) {
    const auto mac = usable_mac(entry);
    if (!mac) return;
    const bool is_set = (rtnl_neigh_get_state(entry) & kSetStates) != 0;
    for (const Neighbour& neighbour : neighbours_of(entry)) {
      links_.neighbours[neighbour] = *mac;
      if (is_set) permanent_.insert(neighbour);
    }
  });
}

void Routes::on_neighbour(rtnl_neigh* entry, bool gone) {
  const auto mac = gone ? std::nullopt : usable_mac(entry);
  const bool is_set = mac && (rtnl_neigh_get_state(entry) & kSetStates) != 0;
  for (const Neighbour& neighbour : neighbours_of(entry)) {
    if (gone && kept_.erase(neighbour) != 0) to_keep_.insert(neighbour);
    if (is_set)
      permanent_.insert(neighbour);
    else
      permanent_.erase(neighbour);
    const auto known = links_.neighbours.find(neighbour);
    // Most events tell that the kernel has seen a neighbour again.
    if (mac ? known != links_.neighbours.end() && known->second == *mac
            : known == links_.neighbours.end())
      continue;
    if (mac)
      links_.neighbours[neighbour] = *mac;
    else
      links_.neighbours.erase(known);
    changed_neighbours_.insert(neighbour);
  }
}

void Routes::find_interfaces() {
  for (std::size_t i = 0; i < ifindex_.size(); ++i)
    ifindex_[i] = static_cast<int>(::if_nametoindex(settings_.ports[i].kernel_interface.c_str()));
  services_ifindex_ =
      settings_.services_interface.empty()
          ? 0
          : static_cast<int>(::if_nametoindex(settings_.services_interface.c_str()));
}

void Routes::read_addresses() {
  for (auto& list : addresses_) list.clear();
  for (auto& list : ipv6_addresses_) list.clear();
  for (auto& list : networks_) list.clear();
  service_addresses_.clear();
  netlink::for_each<rtnl_addr>(address_cache_, [&](rtnl_addr* entry) {
    const auto address = address_of(rtnl_addr_get_local(entry));
    if (!address || address->is_link_local()) return;
    const int ifindex = rtnl_addr_get_ifindex(entry);
    if (ifindex == services_ifindex_) service_addresses_.push_back(*address);
    for (const contract::PortRole port : ports_of(ifindex)) {
      if (!is_mapped(*address)) {
        ipv6_addresses_[static_cast<std::size_t>(port)].push_back(*address);
        continue;
      }
      addresses_[static_cast<std::size_t>(port)].push_back(unmapped(*address));
      networks_[static_cast<std::size_t>(port)].push_back(
          {unmapped(*address), static_cast<std::uint8_t>(rtnl_addr_get_prefixlen(entry))});
    }
  });
}

bool Routes::is_on_link(contract::PortRole port, Ipv4Address address) const noexcept {
  return std::ranges::any_of(networks_[static_cast<std::size_t>(port)], [&](const Ipv4Prefix& own) {
    return own.length < 32 && own.contains(address);
  });
}

// The kernel's routes by port, the best of each prefix.
std::array<Routes::Candidates, contract::kPorts> Routes::read_routes() const {
  std::array<Candidates, contract::kPorts> found;
  netlink::for_each<rtnl_route>(route_cache_, [&](rtnl_route* route) {
    const int family = rtnl_route_get_family(route);
    if (family != AF_INET && family != AF_INET6) return;
    const Ipv6Prefix prefix = prefix_of(route);
    if (prefix.address.is_link_local() || is_multicast(prefix.address) ||
        rtnl_route_get_protocol(route) == netlink::kSubscriberRouteProtocol)
      return;
    const bool refusal = is_refusal(route);
    if (!refusal && rtnl_route_get_type(route) != RTN_UNICAST) return;
    for (const contract::PortRole port : kRoles) {
      const auto index = static_cast<std::size_t>(port);
      const bool own = rtnl_route_get_table(route) == settings_.ports[index].table;
      if (!own && rtnl_route_get_table(route) != RT_TABLE_MAIN) continue;
      std::vector<RouteTable::Member> members;
      if (!refusal && ifindex_[index] != 0) members = members_of(route, ifindex_[index], port);
      if (!refusal && members.empty()) continue;
      const std::uint64_t rank = (own ? 0 : kBehindOwnTable) + rtnl_route_get_priority(route);
      const auto [known, is_new] = found[index].try_emplace(prefix, rank, members);
      if (is_new || known->second.rank < rank) continue;
      // IPv6 has next hops of equal cost as routes of equal metric, too.
      if (known->second.rank == rank && family == AF_INET6)
        known->second.members.insert(known->second.members.end(), members.begin(), members.end());
      else if (rank < known->second.rank)
        known->second = {rank, std::move(members)};
    }
  });
  return found;
}

// A port's routes and its own addresses.
RouteTable::Wanted Routes::routes_of(contract::PortRole port, const Candidates& found) const {
  RouteTable::Wanted wanted;
  for (const auto& [prefix, candidate] : found)
    wanted.emplace_hint(wanted.end(), prefix, way_of(candidate.members));
  // On one link the addresses are the access port's, which subscribers reach on request only.
  const bool is_closed = port == contract::PortRole::kCore && ifindex_[0] != 0 &&
                         ifindex_[0] == ifindex_[1] && !settings_.access_from_inside;
  const auto add_own = [&](const Ipv6Address& own) {
    wanted[{own, 128}] = {{is_closed ? NextHopKind::kUnreachable : NextHopKind::kLocal, port, {}}};
  };
  if (settings_.relays_broadcasts && port == contract::PortRole::kCore)
    for (const Ipv4Prefix& own : networks(port))
      if (BroadcastNetworks::has_broadcast(own))
        wanted[{mapped(own.last()), 128}] = {{NextHopKind::kBroadcast, port, {}}};
  for (const Ipv4Address own : addresses(port)) add_own(mapped(own));
  for (const Ipv6Address& own : ipv6_addresses(port)) add_own(own);
  if (port == contract::PortRole::kCore)
    for (const Ipv6Address& own : service_addresses_)
      wanted[{own, 128}] = {{NextHopKind::kLocal, port, {}}};
  return wanted;
}

RouteTable::Wanted Routes::routes_to_host(contract::PortRole port) {
  links_.neighbours[{port, RouteTable::kHost}] =
      settings_.ports[static_cast<std::size_t>(port)].mac;
  const RouteTable::Way host{{NextHopKind::kGlean, port, RouteTable::kHost}};
  return {{Ipv6Prefix{mapped(Ipv4Address()), kMappedBits}, host}, {Ipv6Prefix{}, host}};
}

void Routes::rebuild(std::uint64_t now_ns) {
  ++rebuilds_;
  find_interfaces();
  read_neighbours();
  read_addresses();
  const auto found = read_routes();
  const auto of = [&](contract::PortRole port) {
    if (settings_.ports[static_cast<std::size_t>(port)].leads_to_host) return routes_to_host(port);
    return routes_of(port, found[static_cast<std::size_t>(port)]);
  };
  RouteTable::Wanted outer = of(contract::PortRole::kAccess);
  RouteTable::Wanted inner = of(contract::PortRole::kCore);
  if (settings_.access_from_inside) inner.insert(outer.begin(), outer.end());
  std::erase_if(outer, [](const auto& route) { return !is_mapped(route.first.address); });
  outer_.replace(std::move(outer));
  inner_.replace(std::move(inner));
  for (const RouteTable* table : {&outer_, &inner_})
    for (const Neighbour& gateway : table->gateways())
      if (!links_.neighbours.contains(gateway))
        resolving_.want_gateway(gateway, now_ns);
      else if (!kept_.contains(gateway))
        to_keep_.insert(gateway);
  release_resolved();
}

// An entry that the kernel has of itself stays as it is without traffic of the kernel: it must be
// told to look after it. To ask for a permanent one makes it an ordinary one.
void Routes::keep_gateways(std::uint64_t now_ns) {
  if (now_ns >= next_keep_ns_) {
    next_keep_ns_ = now_ns + kKeepIntervalNs;
    std::erase_if(kept_, [this](const Neighbour& neighbour) { return !is_gateway(neighbour); });
    for (const RouteTable* table : {&outer_, &inner_})
      to_keep_.insert(table->gateways().begin(), table->gateways().end());
  }
  for (std::size_t n = 0; n < kMostKeptAtOnce && !to_keep_.empty(); ++n) {
    const Neighbour neighbour = to_keep_.extract(to_keep_.begin()).value();
    if (!is_gateway(neighbour) || !links_.neighbours.contains(neighbour) ||
        permanent_.contains(neighbour) || neighbour.second == RouteTable::kHost)
      continue;
    kept_.insert(neighbour);
    tell_kernel(netlink::NeighbourVerb::kAsk, neighbour);
  }
}

void Routes::update(const Neighbour& neighbour, std::uint64_t now_ns) {
  outer_.update(neighbour);
  inner_.update(neighbour);
  if (const auto known = links_.neighbours.find(neighbour); known != links_.neighbours.end())
    resolving_.release(neighbour, [&](rte_mbuf* packet) {
      write_destination(packet, known->second);
      release_(neighbour.first, packet);
    });
  else if (is_gateway(neighbour))
    resolving_.want_gateway(neighbour, now_ns);
}

void Routes::add_subscriber(const Ipv6Prefix& subscriber) {
  if (!inner_.add_subscriber(subscriber)) changed_ = true;
}

void Routes::remove_subscriber(const Ipv6Prefix& subscriber) {
  inner_.remove_subscriber(subscriber);
}

void Routes::tell_kernel(netlink::NeighbourVerb verb, const Neighbour& neighbour) {
  if (tell_) return tell_(neighbour.first, neighbour.second, verb);
  const int ifindex = ifindex_[static_cast<std::size_t>(neighbour.first)];
  if (ifindex == 0) return;
  if (is_mapped(neighbour.second))
    requests_->send(verb, ifindex, unmapped(neighbour.second));
  else
    requests_->send(verb, ifindex, neighbour.second);
}

void Routes::lose(const Neighbour& neighbour, rte_mbuf* packet, DropReason reason) {
  if (reason == DropReason::neighbour_unanswered) {
    ++unanswered_count_;
    if (unanswered_) unanswered_(neighbour.first, packet);
  } else {
    ++queue_full_count_;
  }
  rte_pktmbuf_free(packet);
}

void Routes::hold(contract::PortRole port, const Ipv6Address& next_hop, rte_mbuf* packet,
                  std::uint64_t now_ns) {
  const Neighbour neighbour{port, next_hop};
  if (const auto mac = links_.neighbours.find(neighbour); mac != links_.neighbours.end()) {
    // Resolved while the packet was on its way here.
    write_destination(packet, mac->second);
    return release_(port, packet);
  }
  resolving_.hold(neighbour, is_gateway(neighbour), packet, now_ns);
}

void Routes::release_resolved() {
  resolving_.release_if([this](const Neighbour& who) { return links_.neighbours.contains(who); },
                        [this](const Neighbour& who, rte_mbuf* packet) {
                          write_destination(packet, links_.neighbours.at(who));
                          release_(who.first, packet);
                        });
}

bool Routes::on_timer(std::uint64_t now_ns) {
  resolving_.on_timer(now_ns);
  keep_gateways(now_ns);
  if (outer_.can_mend() || inner_.can_mend()) changed_ = true;
  if (std::exchange(address_gone_, false)) routes_stale_ = changed_ = true;
  return rebuild_if_due(now_ns);
}

}  // namespace pns::dataplane
