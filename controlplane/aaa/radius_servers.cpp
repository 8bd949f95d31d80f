// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_servers.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pns::aaa {

RadiusServers::RadiusServers(std::vector<RadiusServerSettings> settings, std::uint16_t ipv4_sockets,
                             std::uint16_t ipv6_sockets, RandomSource& random,
                             std::deque<model::RadiusServerCounts>& counts)
    : by_priority_(settings.size()), credits_(settings.size()) {
  for (RadiusServerSettings& server : settings) {
    const std::size_t index = servers_.size();
    by_endpoint_.emplace(server.endpoint, index);
    const auto sockets = is_ipv6(server.endpoint.address) ? ipv6_sockets : ipv4_sockets;
    servers_.emplace_back(std::move(server), sockets, random, counts[index]);
  }
  std::iota(by_priority_.begin(), by_priority_.end(), std::size_t{0});
  std::ranges::stable_sort(
      by_priority_, {}, [this](std::size_t index) { return servers_[index].settings().priority; });
}

std::optional<std::size_t> RadiusServers::find(const IpEndpoint& endpoint) const {
  const auto found = by_endpoint_.find(endpoint);
  if (found == by_endpoint_.end()) return std::nullopt;
  return found->second;
}

RadiusServerSet RadiusServers::of_kind(model::RadiusKind kind) const noexcept {
  RadiusServerSet set = 0;
  for (std::size_t i = 0; i < servers_.size(); ++i)
    if (servers_[i].settings().kind == kind) set |= set_of(i);
  return set;
}

RadiusServerSet RadiusServers::alive(RadiusServerSet among) const noexcept {
  for (std::size_t i = 0; i < servers_.size(); ++i)
    if (servers_[i].state() != RadiusServer::State::kAlive) among &= ~set_of(i);
  return among;
}

RadiusServerSet RadiusServers::not_dead(RadiusServerSet among) const noexcept {
  for (std::size_t i = 0; i < servers_.size(); ++i)
    if (servers_[i].state() == RadiusServer::State::kDead) among &= ~set_of(i);
  return among;
}

std::optional<std::size_t> RadiusServers::choose(RadiusServerSet allowed, TimePoint now) {
  // A suspect server gets a request only when none is alive.
  const RadiusServerSet living = alive(allowed);
  const RadiusServerSet usable = living != 0 ? living : not_dead(allowed);
  RadiusServerSet candidates = 0;
  bool waits = false;  // for a server of this priority that has given no cause for doubt
  for (std::size_t at = 0; at < by_priority_.size(); ++at) {
    const std::size_t index = by_priority_[at];
    const RadiusServer& server = servers_[index];
    if ((usable & set_of(index)) != 0) {
      if (server.takes_more(now))
        candidates |= set_of(index);
      else if (!server.health().is_doubtful())
        waits = true;
    }
    const bool last =
        at + 1 == by_priority_.size() ||
        servers_[by_priority_[at + 1]].settings().priority != server.settings().priority;
    if (!last) continue;
    if (candidates != 0) return share(candidates);
    if (waits) return std::nullopt;
  }
  return std::nullopt;
}

std::size_t RadiusServers::share(RadiusServerSet candidates) {
  std::int64_t total = 0;
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if ((candidates & set_of(i)) == 0) continue;
    const auto weight = static_cast<std::int64_t>(servers_[i].settings().weight);
    total += weight;
    credits_[i] += weight;
    if (!best || credits_[i] > credits_[*best]) best = i;
  }
  credits_[*best] -= total;
  return *best;
}

}  // namespace pns::aaa
