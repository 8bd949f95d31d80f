// SPDX-License-Identifier: BSD-3-Clause
//
// SessionNetworks: which networks are behind which session's subscriber. The routing table leads
// there; this keeps what each session has, so that it goes with the session. Session memory does
// not hold it: the control process says it again (docs/decisions/0023). IPv4 as mapped addresses.
//
// Main only. Memory: an entry for each session with networks, and one for each network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <unordered_map>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/contract/messages.hpp"

namespace pns::dataplane {

class SessionNetworks {
 public:
  struct Watcher {
    // The network leads to the session from now on. False: there is no room for its route.
    std::function<bool(const Ipv6Prefix& network, SlotId session)> added;
    std::function<void(const Ipv6Prefix& network)> removed;
    // No worker can look for a network of the session any more.
    std::function<void(SlotId session)> forgotten;
  };

  explicit SessionNetworks(Watcher watcher) : watcher_(std::move(watcher)) {}

  // These and no others are behind the session from now on. kDone; kAddressInUse: one is another
  // session's; kNoMemory: one found no room. Then none is.
  [[nodiscard]] contract::ReplyResult set(SlotId session, const std::vector<Ipv6Prefix>& networks);
  // The session leaves: packets are led there no more.
  void unlink(SlotId session);
  // It has left: no worker sees it any more.
  void release(SlotId session);

  [[nodiscard]] std::size_t size() const noexcept { return owners_.size(); }

 private:
  Watcher watcher_;
  std::map<Ipv6Prefix, SlotId> owners_;
  // Sessions that have had networks, until they are released.
  std::unordered_map<std::uint32_t, std::vector<Ipv6Prefix>> networks_;  // by slot
};

}  // namespace pns::dataplane
