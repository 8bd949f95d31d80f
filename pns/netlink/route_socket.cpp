// SPDX-License-Identifier: BSD-3-Clause
#include "pns/netlink/route_socket.hpp"

#include <netlink/netlink.h>
#include <netlink/socket.h>

namespace pns::netlink {

void FreeSocket::operator()(nl_sock* socket) const noexcept { nl_socket_free(socket); }

std::expected<RouteSocket, std::string> open_route_socket() {
  RouteSocket socket(nl_socket_alloc());
  if (!socket) return std::unexpected(std::string("netlink: no memory"));
  if (const int error = nl_connect(socket.get(), NETLINK_ROUTE); error < 0)
    return std::unexpected(std::string("netlink: ") + nl_geterror(error));
  return socket;
}

}  // namespace pns::netlink
