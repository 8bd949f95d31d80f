// SPDX-License-Identifier: BSD-3-Clause
//
// SubscriberRoutes: the routes that live as long as a session: to a subscriber's fixed address or
// prefix outside all pools, and to networks behind subscribers. The packets are taken out of the
// kernel's way too, where the core port is an xdp: one. Main thread only.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "dataplane/port/xdp/xdp_prefixes.hpp"
#include "dataplane/routing/routes.hpp"
#include "dataplane/session/session_table.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::dataplane {

class SubscriberRoutes {
 public:
  // A subscriber outside the pools has, or has no more, a session.
  using Tell = std::function<void(const SubscriberPrefixes& subscriber, bool bound)>;

  // `pools`: prefixes that have routes without a session. `routes` must outlive this.
  SubscriberRoutes(SubscriberPrefixes pools, std::optional<XdpPrefixes> kernel, Routes& routes,
                   Tell tell);

  void take(const SessionTable::Binding& binding);
  void leave(const SessionTable::Binding& binding);
  // False: there is no room.
  [[nodiscard]] bool take_network(const Ipv6Prefix& network, SlotId session);
  void leave_network(const Ipv6Prefix& network);

 private:
  [[nodiscard]] bool take_from_kernel(const SubscriberPrefixes& prefixes) const;
  void leave_to_kernel(const SubscriberPrefixes& prefixes) const;

  SubscriberPrefixes pools_;
  std::optional<XdpPrefixes> kernel_;  // xdp: core ports only
  Routes& routes_;
  Tell tell_;
};

// As routes are written: IPv4 as mapped addresses.
[[nodiscard]] std::vector<Ipv6Prefix> routes_of(const SubscriberPrefixes& prefixes);

}  // namespace pns::dataplane
