// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/echo.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>

#include "pns/base/unique_fd.hpp"

namespace pns::loadgen {

void serve_echo(const EchoOptions& options) {
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(options.listen.value);
  local.sin_port = htons(options.port);
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0)
    throw std::runtime_error("UDP socket on " + options.listen.to_string() + ": " +
                             std::strerror(errno));
  constexpr int kRoom = 16 << 20;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kRoom, sizeof(kRoom));
  std::cout << "ready" << std::endl;
  std::array<std::byte, 65536> datagram;
  for (;;) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    const auto got = ::recvfrom(fd.get(), datagram.data(), datagram.size(), 0,
                                reinterpret_cast<sockaddr*>(&peer), &size);
    if (got < 0) continue;  // an ICMP error of an earlier answer
    (void)::sendto(fd.get(), datagram.data(), static_cast<std::size_t>(got), 0,
                   reinterpret_cast<const sockaddr*>(&peer), size);
  }
}

}  // namespace pns::loadgen
