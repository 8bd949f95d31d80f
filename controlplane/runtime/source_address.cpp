// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/source_address.hpp"

#include <sys/socket.h>

#include <variant>

#include "controlplane/runtime/socket_address.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

std::optional<IpAddress> source_towards(const IpEndpoint& remote) {
  // Connecting a datagram socket sends nothing; it only asks the routing table.
  const int family = is_ipv6(remote.address) ? AF_INET6 : AF_INET;
  const UniqueFd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress to = to_socket_address(remote);
  SocketAddress own;
  own.length = sizeof(own.storage);
  if (!fd || ::connect(fd.get(), to.get(), to.length) != 0 ||
      ::getsockname(fd.get(), own.get(), &own.length) != 0)
    return std::nullopt;
  return to_endpoint(own.storage).address;
}

std::optional<Ipv4Address> source_towards(Ipv4Address remote) {
  constexpr std::uint16_t kDiscard = 9;
  const auto source = source_towards({remote, kDiscard});
  if (!source) return std::nullopt;
  return std::get<Ipv4Address>(*source);
}

}  // namespace pns::control
