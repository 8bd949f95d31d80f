// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/route_table.hpp"

#include <algorithm>
#include <utility>

#include "dataplane/routing/mapped_address.hpp"
#include "pns/log/log.hpp"

namespace pns::dataplane {
namespace {

constexpr RouteTable::Hop kPoolHop{NextHopKind::kPool, contract::PortRole::kCore, {}, true};

constexpr RouteTable::Hop session_hop(SlotId session) noexcept {
  return {NextHopKind::kSession, contract::PortRole::kCore, {}, false, session};
}

// Without a route, and not in a pool: nobody need look at a next hop.
constexpr bool leads_somewhere(const RouteTable::Hop& hop) noexcept {
  return hop.kind != NextHopKind::kUnreachable || hop.in_pool;
}

constexpr Ipv6Prefix host_route(const Ipv6Address& address) noexcept { return {address, 128}; }

}  // namespace

std::optional<NextHopId> RouteTable::IdRange::take() {
  if (front_is_free()) {
    const NextHopId id = returned_.front().id;
    returned_.pop_front();
    return id;
  }
  if (next_ == end_) return std::nullopt;
  return NextHopId(next_++);
}

void RouteTable::IdRange::give_back(NextHopId id) {
  returned_.push_back({id, quiescence_.begin ? quiescence_.begin() : 0});
}

bool RouteTable::IdRange::front_is_free() const {
  return !returned_.empty() && (!quiescence_.passed || quiescence_.passed(returned_.front().token));
}

bool RouteTable::can_mend() const {
  if (starved_.empty()) return false;
  const bool hop = hop_range_.has_one();
  const bool group = group_range_.has_one();
  return std::ranges::any_of(starved_,
                             [&](const auto& entry) { return entry.second ? group : hop; });
}

RouteTable::RouteTable(std::string name, NextHops& next_hops, const Links& links,
                       std::vector<Ipv6Prefix> pools, Quiescence quiescence)
    : name_(std::move(name)),
      next_hops_(next_hops),
      links_(links),
      pools_(std::move(pools)),
      quiescence_(std::move(quiescence)) {
  for (Ipv6Prefix& pool : pools_) pool.address = pool.network();
}

// Routes inside a pool or a subscriber's prefix lead where they say, unless a session has the
// destination.
void RouteTable::mark_pools(Wanted& routes) const {
  const auto mark_way = [](Way& way) {
    way.hop.in_pool = true;
    for (Member& member : way.members) member.hop.in_pool = true;
  };
  const auto mark = [&](const Ipv6Prefix& pool) {
    for (auto route = routes.lower_bound(pool);
         route != routes.end() && pool.contains(route->first.address); ++route)
      if (route->first.length >= pool.length) mark_way(route->second);
  };
  for (const Ipv6Prefix& pool : pools_) mark(pool);
  // Addresses that a subscriber has himself; networks behind him ask no index.
  for (const auto& [subscriber, hop] : subscribers_)
    if (hop.kind == NextHopKind::kPool) mark(subscriber);
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
    const auto& [hop, members] = route->second;
    if (!members.empty() || hop.kind != NextHopKind::kGlean || hop.port != port ||
        !hop.address.is_unspecified())
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
  made.is_host = hop.address == kHost;
  made.slot = hop.slot;
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
  if (!leads_somewhere(hop)) return NextHopId(0);
  if (const auto known = ids_.find(hop); known != ids_.end()) return known->second;
  const auto id = hop_range_.take();
  if (!id) return NextHopId(0);
  ids_[hop] = *id;
  return *id;
}

NextHopId RouteTable::write(const Hop& hop) {
  const NextHopId id = id_of(hop);
  if (id.value != 0) (void)next_hops_.set(id, next_hop_of(hop));
  return id;
}

NextHopId RouteTable::id_of(const Way& way) {
  if (way.members.empty()) return id_of(way.hop);
  if (const auto known = group_ids_.find(way.members); known != group_ids_.end())
    return known->second;
  const auto id = group_range_.take();
  if (!id) return id_of(way.members.front().hop);
  group_ids_[way.members] = *id;
  return *id;
}

NextHopId RouteTable::write(const Way& way) {
  if (way.members.empty()) return write(way.hop);
  const NextHopId id = id_of(way);
  if (!NextHops::is_group(id)) return write(way.members.front().hop);
  write_group(id, way.members);
  return id;
}

// Each member has buckets by its weight. The buckets of one that cannot be reached go to the others
// in turn, until it is there again.
void RouteTable::write_group(NextHopId id, const std::vector<Member>& members) {
  struct Choice {
    NextHopId id;
    bool usable = false;
  };
  std::vector<Choice> choices;
  std::vector<NextHopId> usable;
  unsigned total = 0;
  for (const Member& member : members) {
    const NextHopId hop = write(member.hop);
    const bool is_usable = hop.value != 0 && (member.hop.address.is_unspecified() ||
                                              next_hops_.get(hop).kind == NextHopKind::kResolved);
    choices.push_back({hop, is_usable});
    if (is_usable) usable.push_back(hop);
    total += member.weight;
  }
  std::array<NextHopId, NextHops::kGroupBuckets> buckets;
  std::size_t member = 0;
  std::size_t substitute = 0;
  unsigned passed = members.front().weight;  // weights of the members up to `member`
  for (std::size_t bucket = 0; bucket < buckets.size(); ++bucket) {
    while (bucket * total >= passed * buckets.size()) passed += members[++member].weight;
    const Choice& choice = choices[member];
    buckets[bucket] =
        choice.usable || usable.empty() ? choice.id : usable[substitute++ % usable.size()];
  }
  (void)next_hops_.set_group(id, buckets);
}

void RouteTable::release_id(const Hop& hop) {
  const auto entry = ids_.find(hop);
  if (entry == ids_.end()) return;
  (void)next_hops_.set(entry->second, NextHop{});
  hop_range_.give_back(entry->second);
  ids_.erase(entry);
}

void RouteTable::release_unused(const std::set<Hop>& hops,
                                const std::set<std::vector<Member>>& groups) {
  std::erase_if(group_ids_, [&](const auto& entry) {
    if (groups.contains(entry.first)) return false;
    group_range_.give_back(entry.second);
    return true;
  });
  std::erase_if(ids_, [&](const auto& entry) {
    if (hops.contains(entry.first)) return false;
    (void)next_hops_.set(entry.second, NextHop{});
    hop_range_.give_back(entry.second);
    return true;
  });
}

void RouteTable::replace(Wanted routes) {
  base_ = std::move(routes);
  mark_pools(base_);
  for (const Ipv6Prefix& pool : pools_)
    if (Way& way = base_[pool]; way.hop.kind != NextHopKind::kLocal) way = {kPoolHop};
  gateways_.clear();
  gateway_hops_.clear();
  const auto note_gateway = [&](const Hop& hop) {
    if (hop.kind != NextHopKind::kGlean || hop.address.is_unspecified()) return;
    gateways_.insert({hop.port, hop.address});
    gateway_hops_.insert(hop);
  };
  for (const auto& [prefix, way] : base_) {
    note_gateway(way.hop);
    for (const Member& member : way.members) note_gateway(member.hop);
  }
  Wanted wanted = base_;
  for (const auto& [neighbour, mac] : links_.neighbours)
    if (const auto hop = host_hop(neighbour)) wanted[host_route(neighbour.second)] = {*hop};
  for (const auto& [subscriber, hop] : subscribers_) wanted[subscriber] = {hop};

  // Next hops first, so that a route never leads to one that is not written yet.
  std::set<Hop> hops = session_hops_;
  std::set<std::vector<Member>> groups;
  for (const auto& [prefix, way] : wanted) {
    if (way.members.empty()) {
      if (hops.insert(way.hop).second) (void)write(way.hop);
    } else if (groups.insert(way.members).second) {
      for (const Member& member : way.members) hops.insert(member.hop);
      (void)write(way);
    }
  }
  std::vector<Ipv6Prefix> refused;
  for (const auto& [prefix, way] : wanted) {
    const auto known = installed_.find(prefix);
    if (known != installed_.end() && known->second == way && !starved_.contains(prefix)) continue;
    if (!add_route(prefix, id_of(way), way)) refused.push_back(prefix);
  }
  for (const auto& [prefix, way] : installed_)
    if (!wanted.contains(prefix)) delete_route(prefix);
  // Once more after the removals; what finds no room even then is tried at the next change.
  std::erase_if(refused, [&](const Ipv6Prefix& prefix) {
    const Way& way = wanted.at(prefix);
    const bool added = add_route(prefix, id_of(way), way);
    if (!added) wanted.erase(prefix);
    return added;
  });
  if (refused.size() != refused_)
    log::warn("routes not installed", {{"table", name_}, {"count", refused.size()}});
  refused_ = refused.size();
  installed_ = std::move(wanted);
  release_unused(hops, groups);
}

void RouteTable::update(const Neighbour& neighbour) {
  const auto& [port, address] = neighbour;
  for (const bool in_pool : {false, true}) {
    const Hop hop{NextHopKind::kGlean, port, address, in_pool};
    if (ids_.contains(hop)) (void)write(hop);
  }
  if (gateways_.contains(neighbour)) {
    const auto is_it = [&](const Member& member) {
      return member.hop.port == port && member.hop.address == address;
    };
    for (const auto& [members, id] : group_ids_)
      if (std::ranges::any_of(members, is_it)) write_group(id, members);
  }
  const Ipv6Prefix host = host_route(address);
  const auto wanted = links_.neighbours.contains(neighbour) ? host_hop(neighbour) : std::nullopt;
  if (wanted) {
    (void)install(host, {*wanted});
    return;
  }
  const auto installed = installed_.find(host);
  if (installed == installed_.end() || subscribers_.contains(host)) return;
  const Hop hop = installed->second.hop;
  const auto base = base_.find(host);
  const bool is_host_route = installed->second.members.empty() && hop.kind == NextHopKind::kGlean &&
                             hop.port == port && hop.address == address &&
                             (base == base_.end() || base->second != Way{hop});
  if (!is_host_route) return;
  uninstall(host);
  if (!gateway_hops_.contains(hop)) release_id(hop);
}

bool RouteTable::install(const Ipv6Prefix& prefix, const Way& way) {
  const auto installed = installed_.find(prefix);
  if (installed != installed_.end() && installed->second == way) return true;
  if (!add_route(prefix, write(way), way)) return false;
  installed_[prefix] = way;
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
  if (!subscribers_.emplace(subscriber, kPoolHop).second) return true;
  const auto longer = base_.upper_bound(subscriber);
  const bool has_longer = longer != base_.end() && subscriber.contains(longer->first.address);
  return install(subscriber, {kPoolHop}) && !has_longer;
}

bool RouteTable::add_network(const Ipv6Prefix& network, SlotId session) {
  const Hop hop = session_hop(session);
  session_hops_.insert(hop);
  if (id_of(hop).value == 0 || !install(network, {hop})) return false;
  subscribers_.insert_or_assign(network, hop);
  return true;
}

void RouteTable::forget_session(SlotId session) {
  const Hop hop = session_hop(session);
  if (session_hops_.erase(hop) != 0) release_id(hop);
}

void RouteTable::remove_subscriber(const Ipv6Prefix& subscriber) {
  if (subscribers_.erase(subscriber) == 0 || !installed_.contains(subscriber)) return;
  uninstall(subscriber);
  if (subscriber.length != 128) return;
  for (const contract::PortRole port : {contract::PortRole::kAccess, contract::PortRole::kCore})
    update({port, subscriber.address});
}

bool RouteTable::add_route(const Ipv6Prefix& prefix, NextHopId id, const Way& way) {
  const bool added = is_mapped(prefix.address) ? next_hops_.add_route(unmapped(prefix), id)
                                               : next_hops_.add_route(prefix, id);
  const bool is_starved =
      way.members.empty() ? id.value == 0 && leads_somewhere(way.hop) : !NextHops::is_group(id);
  if (added && is_starved)
    starved_[prefix] = !way.members.empty();
  else
    starved_.erase(prefix);
  return added;
}

void RouteTable::delete_route(const Ipv6Prefix& prefix) {
  starved_.erase(prefix);
  (void)(is_mapped(prefix.address) ? next_hops_.delete_route(unmapped(prefix))
                                   : next_hops_.delete_route(prefix));
}

}  // namespace pns::dataplane
