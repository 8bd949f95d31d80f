// SPDX-License-Identifier: BSD-3-Clause
//
// SubscriberRoutes: routes of the kernel to networks behind subscribers, `NETWORK dev INTERFACE
// proto 173`. They tell routing daemons what to announce, and programs of this host the way; our
// packets do not take them. Needs CAP_NET_ADMIN. One thread.
#pragma once

#include <cstdint>
#include <expected>
#include <string>

#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/netlink/route_socket.hpp"

namespace pns::netlink {

inline constexpr std::uint8_t kSubscriberRouteProtocol = 173;  // RTPROT_* has nothing there

class SubscriberRoutes {
 public:
  // Routes of one interface in one table (0: the main one).
  struct Place {
    std::string interface;
    std::uint32_t table = 0;
  };

  // A socket in this process's network namespace. Error: netlink's reason.
  [[nodiscard]] static std::expected<SubscriberRoutes, std::string> open(Place place);

  // A route that is there already is no error, nor is one that is gone. Those of others with the
  // same destination stay, and win. Error: the kernel's reason.
  [[nodiscard]] std::expected<void, std::string> add(const Ipv4Prefix& network) const;
  [[nodiscard]] std::expected<void, std::string> add(const Ipv6Prefix& network) const;
  [[nodiscard]] std::expected<void, std::string> remove(const Ipv4Prefix& network) const;
  [[nodiscard]] std::expected<void, std::string> remove(const Ipv6Prefix& network) const;
  // Those that are there, whoever has set them.
  [[nodiscard]] std::expected<Networks, std::string> list() const;

 private:
  SubscriberRoutes(RouteSocket socket, Place place)
      : socket_(std::move(socket)), place_(std::move(place)) {}

  RouteSocket socket_;
  Place place_;
};

}  // namespace pns::netlink
