// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/socket_address.hpp"

#include <netinet/in.h>

#include <cstring>

namespace pns::control {

SocketAddress to_socket_address(const IpEndpoint& endpoint) noexcept {
  SocketAddress out;
  if (const auto* const v4 = std::get_if<Ipv4Address>(&endpoint.address)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(v4->value);
    std::memcpy(&out.storage, &address, out.length = sizeof(address));
  } else {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(endpoint.port);
    const auto octets = std::get<Ipv6Address>(endpoint.address).wire();
    std::memcpy(&address.sin6_addr, octets.data(), octets.size());
    std::memcpy(&out.storage, &address, out.length = sizeof(address));
  }
  return out;
}

IpEndpoint to_endpoint(const sockaddr_storage& storage) noexcept {
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 address;
    std::memcpy(&address, &storage, sizeof(address));
    Ipv6Address::Octets octets;
    std::memcpy(octets.data(), &address.sin6_addr, octets.size());
    return {Ipv6Address(octets), ntohs(address.sin6_port)};
  }
  sockaddr_in address;
  std::memcpy(&address, &storage, sizeof(address));
  return {Ipv4Address(ntohl(address.sin_addr.s_addr)), ntohs(address.sin_port)};
}

}  // namespace pns::control
