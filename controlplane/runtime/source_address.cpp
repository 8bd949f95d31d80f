// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/source_address.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "pns/base/unique_fd.hpp"

namespace pns::control {

std::optional<Ipv4Address> source_towards(Ipv4Address remote) {
  // Connecting a datagram socket sends nothing; it only asks the routing table.
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(remote.value);
  sockaddr_in from{};
  socklen_t length = sizeof(from);
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&from), &length) != 0)
    return std::nullopt;
  return Ipv4Address(ntohl(from.sin_addr.s_addr));
}

}  // namespace pns::control
