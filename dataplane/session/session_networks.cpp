// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/session_networks.hpp"

#include <algorithm>
#include <utility>

namespace pns::dataplane {

using contract::ReplyResult;

ReplyResult SessionNetworks::set(SlotId session, const std::vector<Ipv6Prefix>& networks) {
  const auto is_others = [&](const Ipv6Prefix& network) {
    const auto owner = owners_.find(network);
    return owner != owners_.end() && owner->second != session;
  };
  const auto refuse = [&](ReplyResult why) {
    unlink(session);
    return why;
  };
  if (std::ranges::any_of(networks, is_others)) return refuse(ReplyResult::kAddressInUse);
  if (networks.empty() && !networks_.contains(session.value)) return ReplyResult::kDone;
  std::vector<Ipv6Prefix>& known = networks_[session.value];
  for (const Ipv6Prefix& network : std::exchange(known, networks))
    if (std::ranges::find(networks, network) == networks.end()) {
      watcher_.removed(network);
      owners_.erase(network);
    }
  for (const Ipv6Prefix& network : networks) {
    const auto [owner, is_new] = owners_.emplace(network, session);
    if (!is_new || watcher_.added(network, session)) continue;
    owners_.erase(owner);
    std::erase(known, network);
    return refuse(ReplyResult::kNoMemory);
  }
  return ReplyResult::kDone;
}

void SessionNetworks::unlink(SlotId session) {
  const auto known = networks_.find(session.value);
  if (known == networks_.end()) return;
  // Those behind one that found no room are not there yet.
  for (const Ipv6Prefix& network : std::exchange(known->second, {}))
    if (owners_.erase(network) != 0) watcher_.removed(network);
}

void SessionNetworks::release(SlotId session) {
  if (networks_.erase(session.value) != 0) watcher_.forgotten(session);
}

}  // namespace pns::dataplane
