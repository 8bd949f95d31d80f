// SPDX-License-Identifier: BSD-3-Clause
//
// RouteSocket: a netlink socket to the kernel's addresses, neighbours and routes (NETLINK_ROUTE),
// in the network namespace of this process. One thread.
#pragma once

#include <expected>
#include <memory>
#include <string>

struct nl_sock;

namespace pns::netlink {

struct FreeSocket {
  void operator()(nl_sock* socket) const noexcept;
};
using RouteSocket = std::unique_ptr<nl_sock, FreeSocket>;

// Connected. Error: "netlink: " and its reason.
[[nodiscard]] std::expected<RouteSocket, std::string> open_route_socket();

}  // namespace pns::netlink
