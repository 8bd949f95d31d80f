// SPDX-License-Identifier: BSD-3-Clause
//
// Endpoints as the socket calls take and give them. Pure functions, any thread.
#pragma once

#include <sys/socket.h>

#include "pns/base/ip_endpoint.hpp"

namespace pns::control {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

[[nodiscard]] SocketAddress to_socket_address(const IpEndpoint& endpoint) noexcept;
// `storage` is of AF_INET or AF_INET6.
[[nodiscard]] IpEndpoint to_endpoint(const sockaddr_storage& storage) noexcept;

}  // namespace pns::control
