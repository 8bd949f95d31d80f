// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/routes.hpp"

#include <fmt/format.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

constexpr int kMaxDrains = 16;
// Time from the last computation of all routes to the next, for each route and neighbour there is.
// One takes less than a microsecond, so that main spends less than a tenth of its time on them.
constexpr std::uint64_t kRebuildPauseNs = 10'000;
constexpr int kUsableStates =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

// Of either family, IPv4 mapped.
std::optional<Ipv6Address> address_of(nl_addr* address) noexcept {
  if (address == nullptr) return std::nullopt;
  if (nl_addr_get_family(address) == AF_INET && nl_addr_get_len(address) == 4) {
    be32 wire;
    std::memcpy(&wire, nl_addr_get_binary_addr(address), sizeof(wire));
    return mapped(Ipv4Address(wire));
  }
  if (nl_addr_get_family(address) == AF_INET6 && nl_addr_get_len(address) == 16) {
    Ipv6Address::Octets wire{};
    std::memcpy(wire.data(), nl_addr_get_binary_addr(address), wire.size());
    return Ipv6Address(wire);
  }
  return std::nullopt;
}

bool is_multicast(const Ipv6Address& address) noexcept {
  return is_mapped(address) ? unmapped(address).is_multicast() : address.is_multicast();
}

constexpr Ipv6Prefix host_route(const Ipv6Address& address) noexcept { return {address, 128}; }

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

template <class Object, class Visit>
void for_each(nl_cache* cache, Visit visit) {
  for (nl_object* object = nl_cache_get_first(cache); object != nullptr;
       object = nl_cache_get_next(object))
    visit(reinterpret_cast<Object*>(object));
}

}  // namespace

Routes::Routes(NextHops& next_hops, std::array<PortInfo, contract::kPorts> ports, Release release,
               std::vector<Ipv6Prefix> pools, Unanswered unanswered, Tell tell)
    : next_hops_(next_hops),
      ports_(std::move(ports)),
      release_(std::move(release)),
      pools_(std::move(pools)),
      unanswered_(std::move(unanswered)),
      tell_(std::move(tell)),
      resolving_(
          {.ask = [this](const Neighbour& who) { tell_kernel(netlink::NeighbourVerb::kAsk, who); },
           .forget =
               [this](const Neighbour& who) { tell_kernel(netlink::NeighbourVerb::kForget, who); },
           .lose = [this](const Neighbour& who, rte_mbuf* packet,
                          DropReason reason) { lose(who, packet, reason); }}) {}

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
  if (const int error = nl_cache_mngr_alloc(nullptr, NETLINK_ROUTE, 0, &manager_); error < 0)
    return failed("cache manager", error);
  const change_func_t on_change = [](nl_cache*, nl_object*, int, void* self) {
    static_cast<Routes*>(self)->changed_ = true;
  };
  const change_func_t on_neighbour_change = [](nl_cache*, nl_object* object, int action,
                                               void* self) {
    static_cast<Routes*>(self)->on_neighbour(reinterpret_cast<rtnl_neigh*>(object),
                                             action == NL_ACT_DEL);
  };
  struct Watched {
    const char* name;
    change_func_t changed;
    nl_cache** cache;
  };
  for (const Watched& watched : {Watched{"route/addr", on_change, &address_cache_},
                                 Watched{"route/neigh", on_neighbour_change, &neighbour_cache_},
                                 Watched{"route/route", on_change, &route_cache_}})
    if (const int error =
            nl_cache_mngr_add(manager_, watched.name, watched.changed, this, watched.cache);
        error < 0)
      return failed(watched.name, error);
  rebuild(0);
  return {};
}

int Routes::fd() const noexcept { return nl_cache_mngr_get_fd(manager_); }

void Routes::on_readable(std::uint64_t now_ns) {
  if (nl_cache_mngr_data_ready(manager_) < 0) {
    // Events were lost (socket overrun): read everything anew. What is queued goes first: while it
    // is there the kernel throws further events away, and tells of such a run of losses only once.
    for (int n = 0; n < kMaxDrains && nl_cache_mngr_data_ready(manager_) < 0; ++n) {
    }
    if (const auto socket = netlink::open_route_socket())
      for (nl_cache* cache : {address_cache_, neighbour_cache_, route_cache_})
        (void)nl_cache_refill(socket->get(), cache);
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
  rebuild(now_ns);
  next_rebuild_ns_ = now_ns + kRebuildPauseNs * (installed_.size() + macs_.size());
  return true;
}

bool Routes::port_of(int ifindex, contract::PortRole& port) const noexcept {
  for (std::size_t i = 0; i < ifindex_.size(); ++i)
    if (ifindex_[i] == ifindex && ifindex != 0) {
      port = static_cast<contract::PortRole>(i);
      return true;
    }
  return false;
}

std::optional<Routes::Neighbour> Routes::neighbour_of(rtnl_neigh* entry) const noexcept {
  contract::PortRole port{};
  const auto address = address_of(rtnl_neigh_get_dst(entry));
  if (!address || is_multicast(*address) || !port_of(rtnl_neigh_get_ifindex(entry), port))
    return std::nullopt;
  return Neighbour{port, *address};
}

void Routes::read_neighbours() {
  macs_.clear();
  changed_neighbours_.clear();
  for_each<rtnl_neigh>(neighbour_cache_, [&](rtnl_neigh* entry) {
    const auto neighbour = neighbour_of(entry);
    const auto mac = usable_mac(entry);
    if (neighbour && mac) macs_[*neighbour] = *mac;
  });
}

void Routes::on_neighbour(rtnl_neigh* entry, bool gone) {
  const auto neighbour = neighbour_of(entry);
  if (!neighbour) return;
  const auto mac = gone ? std::nullopt : usable_mac(entry);
  const auto known = macs_.find(*neighbour);
  // Most events tell that the kernel has seen a neighbour again.
  if (mac ? known != macs_.end() && known->second == *mac : known == macs_.end()) return;
  if (mac)
    macs_[*neighbour] = *mac;
  else
    macs_.erase(known);
  changed_neighbours_.insert(*neighbour);
}

void Routes::read_addresses(Wanted& wanted) {
  for (auto& list : addresses_) list.clear();
  for (auto& list : ipv6_addresses_) list.clear();
  for_each<rtnl_addr>(address_cache_, [&](rtnl_addr* entry) {
    contract::PortRole port{};
    const auto address = address_of(rtnl_addr_get_local(entry));
    if (!address || address->is_link_local() || !port_of(rtnl_addr_get_ifindex(entry), port))
      return;
    if (is_mapped(*address))
      addresses_[static_cast<std::size_t>(port)].push_back(unmapped(*address));
    else
      ipv6_addresses_[static_cast<std::size_t>(port)].push_back(*address);
    wanted[host_route(*address)] = {NextHopKind::kLocal, port, {}};
  });
}

void Routes::read_routes(Wanted& wanted) {
  gateways_.clear();
  std::map<Ipv6Prefix, std::uint32_t> metrics;
  for_each<rtnl_route>(route_cache_, [&](rtnl_route* route) {
    const auto family = rtnl_route_get_family(route);
    if ((family != AF_INET && family != AF_INET6) || rtnl_route_get_table(route) != RT_TABLE_MAIN)
      return;
    nl_addr* destination = rtnl_route_get_dst(route);
    const unsigned bits = destination == nullptr ? 0U : nl_addr_get_prefixlen(destination);
    // The default route's destination has no octets.
    const Ipv6Address network =
        address_of(destination).value_or(family == AF_INET ? mapped(Ipv4Address()) : Ipv6Address());
    const Ipv6Prefix prefix{
        network, static_cast<std::uint8_t>(bits + (family == AF_INET ? kMappedBits : 0U))};
    if (network.is_link_local() || is_multicast(network)) return;
    Key key{NextHopKind::kUnreachable, {}, {}};
    if (rtnl_route_get_type(route) == RTN_UNICAST && rtnl_route_get_nnexthops(route) > 0) {
      rtnl_nexthop* hop = rtnl_route_nexthop_n(route, 0);
      contract::PortRole port{};
      // A route out of another interface is not ours to take: no traffic of ours goes there.
      if (port_of(rtnl_route_nh_get_ifindex(hop), port))
        key = {NextHopKind::kGlean, port,
               address_of(rtnl_route_nh_get_gateway(hop)).value_or(Ipv6Address())};
    } else if (rtnl_route_get_type(route) == RTN_LOCAL) {
      return;
    }
    const std::uint32_t metric = rtnl_route_get_priority(route);
    const auto known = metrics.find(prefix);
    if (known != metrics.end() && known->second <= metric) return;
    metrics[prefix] = metric;
    wanted[prefix] = key;
  });
  for (const Ipv6Prefix& pool : pools_)
    wanted[{pool.network(), pool.length}] = {NextHopKind::kPool, contract::PortRole::kCore, {}};
  for (const auto& [prefix, key] : wanted)
    if (key.kind == NextHopKind::kGlean && !key.address.is_unspecified())
      gateways_.insert({key.port, key.address});
}

// Whether the kernel would reach a neighbour directly. Only such a one gets a host route: the
// kernel also learns who asks for its addresses, so that anybody on a link could make himself a
// neighbour under an address that lives elsewhere, and draw its traffic.
bool Routes::is_on_link(const Neighbour& neighbour) const {
  if (neighbour.second.is_link_local()) return false;
  const int shortest = is_mapped(neighbour.second) ? kMappedBits : 0;
  for (int length = 128; length >= shortest; --length) {
    const Ipv6Prefix prefix{neighbour.second, static_cast<std::uint8_t>(length)};
    const auto route = base_.find({prefix.network(), prefix.length});
    if (route != base_.end())
      return route->second == Key{NextHopKind::kGlean, neighbour.first, Ipv6Address()};
  }
  return false;
}

NextHop Routes::next_hop_of(const Key& key) const {
  NextHop hop;
  hop.kind = key.kind;
  hop.port = key.port;
  hop.source = ports_[static_cast<std::size_t>(key.port)].mac;
  if (key.kind != NextHopKind::kGlean) return hop;
  hop.gateway = key.address;
  if (key.address.is_unspecified()) return hop;
  if (const auto mac = macs_.find({key.port, key.address}); mac != macs_.end()) {
    hop.kind = NextHopKind::kResolved;
    hop.destination = mac->second;
  }
  return hop;
}

NextHopId Routes::id_of(const Key& key) {
  if (key.kind == NextHopKind::kUnreachable) return NextHopId(0);
  if (const auto known = ids_.find(key); known != ids_.end()) return known->second;
  NextHopId id;
  if (!free_ids_.empty()) {
    id = free_ids_.back();
    free_ids_.pop_back();
  } else if (next_id_ < NextHops::kMaxNextHops) {
    id = NextHopId(next_id_++);
  } else {
    return NextHopId(0);
  }
  ids_[key] = id;
  return id;
}

void Routes::rebuild(std::uint64_t now_ns) {
  for (std::size_t i = 0; i < ports_.size(); ++i)
    ifindex_[i] = static_cast<int>(::if_nametoindex(ports_[i].kernel_interface.c_str()));
  ++rebuilds_;
  base_.clear();
  read_neighbours();
  read_routes(base_);
  read_addresses(base_);
  Wanted wanted = base_;
  for (const auto& [neighbour, mac] : macs_)
    if (is_on_link(neighbour)) wanted[host_route(neighbour.second)] = key_of(neighbour);

  std::vector<Ipv6Prefix> refused;
  // Next hops first, so that a route never leads to one that is not written yet.
  std::map<Key, bool> used;
  for (const auto& [prefix, key] : wanted) {
    const NextHopId id = id_of(key);
    if (id.value == 0) continue;
    if (used.emplace(key, true).second) (void)next_hops_.set(id, next_hop_of(key));
  }
  for (const Neighbour& gateway : gateways_)
    if (!macs_.contains(gateway)) resolving_.want_gateway(gateway, now_ns);
  for (const auto& [prefix, key] : wanted) {
    const auto known = installed_.find(prefix);
    if (known != installed_.end() && known->second == key) continue;
    if (!add_route(prefix, id_of(key))) refused.push_back(prefix);
  }
  for (const auto& [prefix, key] : installed_)
    if (!wanted.contains(prefix)) delete_route(prefix);
  // Once more after the removals; what finds no room even then is tried at the next change.
  std::erase_if(refused, [&](const Ipv6Prefix& prefix) {
    const bool added = add_route(prefix, id_of(wanted.at(prefix)));
    if (!added) wanted.erase(prefix);
    return added;
  });
  if (refused.size() != refused_) log::warn("routes not installed", {{"count", refused.size()}});
  refused_ = refused.size();
  installed_ = std::move(wanted);
  for (auto entry = ids_.begin(); entry != ids_.end();) {
    if (used.contains(entry->first)) {
      ++entry;
      continue;
    }
    (void)next_hops_.set(entry->second, NextHop{});
    free_ids_.push_back(entry->second);
    entry = ids_.erase(entry);
  }
  release_resolved();
}

void Routes::update(const Neighbour& neighbour, std::uint64_t now_ns) {
  const Key key = key_of(neighbour);
  const bool known = macs_.contains(neighbour);
  const bool gateway = gateways_.contains(neighbour);
  const Ipv6Prefix host = host_route(neighbour.second);
  const auto installed = installed_.find(host);
  const auto base = base_.find(host);
  const bool has_route = installed != installed_.end() && installed->second == key &&
                         (base == base_.end() || base->second != key);
  const bool wants_route = known && is_on_link(neighbour);
  if (gateway || wants_route || has_route) {
    if (const NextHopId id = id_of(key); id.value != 0) (void)next_hops_.set(id, next_hop_of(key));
  }
  if (wants_route && !has_route && add_route(host, id_of(key))) installed_[host] = key;
  if (!wants_route && has_route) {
    if (base == base_.end()) {
      delete_route(host);
      installed_.erase(host);
    } else if (add_route(host, id_of(base->second))) {
      installed_[host] = base->second;
    }
    if (!gateway) release_id(key);
  }
  if (known)
    resolving_.release(neighbour, [&](rte_mbuf* packet) {
      write_destination(packet, macs_.at(neighbour));
      release_(neighbour.first, packet);
    });
  else if (gateway)
    resolving_.want_gateway(neighbour, now_ns);
}

void Routes::release_id(const Key& key) {
  const auto entry = ids_.find(key);
  if (entry == ids_.end()) return;
  (void)next_hops_.set(entry->second, NextHop{});
  free_ids_.push_back(entry->second);
  ids_.erase(entry);
}

bool Routes::add_route(const Ipv6Prefix& prefix, NextHopId id) {
  return is_mapped(prefix.address) ? next_hops_.add_route(unmapped(prefix), id)
                                   : next_hops_.add_route(prefix, id);
}

void Routes::delete_route(const Ipv6Prefix& prefix) {
  (void)(is_mapped(prefix.address) ? next_hops_.delete_route(unmapped(prefix))
                                   : next_hops_.delete_route(prefix));
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
  if (const auto mac = macs_.find(neighbour); mac != macs_.end()) {
    // Resolved while the packet was on its way here.
    write_destination(packet, mac->second);
    return release_(port, packet);
  }
  resolving_.hold(neighbour, gateways_.contains(neighbour), packet, now_ns);
}

void Routes::release_resolved() {
  resolving_.release_if([this](const Neighbour& who) { return macs_.contains(who); },
                        [this](const Neighbour& who, rte_mbuf* packet) {
                          write_destination(packet, macs_.at(who));
                          release_(who.first, packet);
                        });
}

bool Routes::on_timer(std::uint64_t now_ns) {
  resolving_.on_timer(now_ns);
  return rebuild_if_due(now_ns);
}

}  // namespace pns::dataplane
