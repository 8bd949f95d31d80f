// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/route_table.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

constexpr RouteTable::Hop kPoolHop{NextHopKind::kPool, contract::PortRole::kCore, {}, true};

constexpr Ipv6Prefix host_route(const Ipv6Address& address) noexcept { return {address, 128}; }

}  // namespace

RouteTable::RouteTable(std::string name, NextHops& next_hops, const Links& links,
                       std::vector<Ipv6Prefix> pools)
    : name_(std::move(name)), next_hops_(next_hops), links_(links), pools_(std::move(pools)) {
  for (Ipv6Prefix& pool : pools_) pool.address = pool.network();
}

// Routes inside a pool or a subscriber's prefix lead where they say, unless a session has the
// destination.
void RouteTable::mark_pools(Wanted& routes) const {
  const auto mark = [&](const Ipv6Prefix& pool) {
    for (auto route = routes.lower_bound(pool);
         route != routes.end() && pool.contains(route->first.address); ++route)
      if (route->first.length >= pool.length) route->second.in_pool = true;
  };
  for (const Ipv6Prefix& pool : pools_) mark(pool);
  for (const Ipv6Prefix& subscriber : subscribers_) mark(subscriber);
}

// The host route of a neighbour. Only one that the kernel reaches directly gets one: the kernel
// also learns who asks for its addresses, so that anybody on a link could make himself a neighbour
// under an address that lives elsewhere, and draw its traffic.
std::optional<RouteTable::Hop> RouteTable::host_hop(const Neighbour& neighbour) const {
  const auto& [port, address] = neighbour;
  if (address.is_link_local()) return std::nullopt;
  const int shortest = is_mapped(address) ? kMappedBits : 0;
  for (int length = 128; length >= shortest; --length) {
    const Ipv6Prefix prefix{Ipv6Prefix{address, static_cast<std::uint8_t>(length)}.network(),
                            static_cast<std::uint8_t>(length)};
    if (subscribers_.contains(prefix)) return std::nullopt;
    const auto route = base_.find(prefix);
    if (route == base_.end()) continue;
    const Hop& hop = route->second;
    if (hop.kind != NextHopKind::kGlean || hop.port != port || !hop.address.is_unspecified())
      return std::nullopt;
    return Hop{NextHopKind::kGlean, port, address, hop.in_pool};
  }
  return std::nullopt;
}

NextHop RouteTable::next_hop_of(const Hop& hop) const {
  NextHop made;
  made.kind = hop.kind;
  made.port = hop.port;
  made.source = links_.ours[static_cast<std::size_t>(hop.port)];
  made.in_pool = hop.in_pool;
  if (hop.kind != NextHopKind::kGlean) return made;
  made.gateway = hop.address;
  if (hop.address.is_unspecified()) return made;
  if (const auto mac = links_.neighbours.find({hop.port, hop.address});
      mac != links_.neighbours.end()) {
    made.kind = NextHopKind::kResolved;
    made.destination = mac->second;
  }
  return made;
}

NextHopId RouteTable::id_of(const Hop& hop) {
  // Without a route, and not in a pool: nobody need look at a next hop.
  if (hop.kind == NextHopKind::kUnreachable && !hop.in_pool) return NextHopId(0);
  if (const auto known = ids_.find(hop); known != ids_.end()) return known->second;
  NextHopId id;
  if (!free_ids_.empty()) {
    id = free_ids_.back();
    free_ids_.pop_back();
  } else if (next_id_ < NextHops::kMaxNextHops) {
    id = NextHopId(next_id_++);
  } else {
    return NextHopId(0);
  }
  ids_[hop] = id;
  return id;
}

NextHopId RouteTable::write(const Hop& hop) {
  const NextHopId id = id_of(hop);
  if (id.value != 0) (void)next_hops_.set(id, next_hop_of(hop));
  return id;
}

void RouteTable::release_id(const Hop& hop) {
  const auto entry = ids_.find(hop);
  if (entry == ids_.end()) return;
  (void)next_hops_.set(entry->second, NextHop{});
  free_ids_.push_back(entry->second);
  ids_.erase(entry);
}

void RouteTable::replace(Wanted routes) {
  base_ = std::move(routes);
  mark_pools(base_);
  for (const Ipv6Prefix& pool : pools_)
    if (Hop& hop = base_[pool]; hop.kind != NextHopKind::kLocal) hop = kPoolHop;
  gateways_.clear();
  gateway_hops_.clear();
  for (const auto& [prefix, hop] : base_) {
    if (hop.kind != NextHopKind::kGlean || hop.address.is_unspecified()) continue;
    gateways_.insert({hop.port, hop.address});
    gateway_hops_.insert(hop);
  }
  Wanted wanted = base_;
  for (const auto& [neighbour, mac] : links_.neighbours)
    if (const auto hop = host_hop(neighbour)) wanted[host_route(neighbour.second)] = *hop;
  for (const Ipv6Prefix& subscriber : subscribers_) wanted[subscriber] = kPoolHop;

  // Next hops first, so that a route never leads to one that is not written yet.
  std::set<Hop> used;
  for (const auto& [prefix, hop] : wanted)
    if (used.insert(hop).second) (void)write(hop);
  std::vector<Ipv6Prefix> refused;
  for (const auto& [prefix, hop] : wanted) {
    const auto known = installed_.find(prefix);
    if (known != installed_.end() && known->second == hop) continue;
    if (!add_route(prefix, id_of(hop))) refused.push_back(prefix);
  }
  for (const auto& [prefix, hop] : installed_)
    if (!wanted.contains(prefix)) delete_route(prefix);
  // Once more after the removals; what finds no room even then is tried at the next change.
  std::erase_if(refused, [&](const Ipv6Prefix& prefix) {
    const bool added = add_route(prefix, id_of(wanted.at(prefix)));
    if (!added) wanted.erase(prefix);
    return added;
  });
  if (refused.size() != refused_)
    log::warn("routes not installed", {{"table", name_}, {"count", refused.size()}});
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
}

void RouteTable::update(const Neighbour& neighbour) {
  const auto& [port, address] = neighbour;
  for (const bool in_pool : {false, true}) {
    const Hop hop{NextHopKind::kGlean, port, address, in_pool};
    if (ids_.contains(hop)) (void)write(hop);
  }
  const Ipv6Prefix host = host_route(address);
  const auto wanted = links_.neighbours.contains(neighbour) ? host_hop(neighbour) : std::nullopt;
  if (wanted) {
    (void)install(host, *wanted);
    return;
  }
  const auto installed = installed_.find(host);
  if (installed == installed_.end() || subscribers_.contains(host)) return;
  const Hop hop = installed->second;
  const auto base = base_.find(host);
  const bool is_host_route = hop.kind == NextHopKind::kGlean && hop.port == port &&
                             hop.address == address && (base == base_.end() || base->second != hop);
  if (!is_host_route) return;
  uninstall(host);
  if (!gateway_hops_.contains(hop)) release_id(hop);
}

bool RouteTable::install(const Ipv6Prefix& prefix, const Hop& hop) {
  const auto installed = installed_.find(prefix);
  if (installed != installed_.end() && installed->second == hop) return true;
  if (!add_route(prefix, write(hop))) return false;
  installed_[prefix] = hop;
  return true;
}

// The prefix leads again where the routes say.
void RouteTable::uninstall(const Ipv6Prefix& prefix) {
  if (const auto base = base_.find(prefix); base != base_.end() && install(prefix, base->second))
    return;
  delete_route(prefix);
  installed_.erase(prefix);
}

bool RouteTable::add_subscriber(const Ipv6Prefix& subscriber) {
  if (!subscribers_.insert(subscriber).second) return true;
  const auto longer = base_.upper_bound(subscriber);
  const bool has_longer = longer != base_.end() && subscriber.contains(longer->first.address);
  return install(subscriber, kPoolHop) && !has_longer;
}

void RouteTable::remove_subscriber(const Ipv6Prefix& subscriber) {
  if (subscribers_.erase(subscriber) == 0 || !installed_.contains(subscriber)) return;
  uninstall(subscriber);
  if (subscriber.length != 128) return;
  for (const contract::PortRole port : {contract::PortRole::kAccess, contract::PortRole::kCore})
    update({port, subscriber.address});
}

bool RouteTable::add_route(const Ipv6Prefix& prefix, NextHopId id) {
  return is_mapped(prefix.address) ? next_hops_.add_route(unmapped(prefix), id)
                                   : next_hops_.add_route(prefix, id);
}

void RouteTable::delete_route(const Ipv6Prefix& prefix) {
  (void)(is_mapped(prefix.address) ? next_hops_.delete_route(unmapped(prefix))
                                   : next_hops_.delete_route(prefix));
}

}  // namespace pns::dataplane
