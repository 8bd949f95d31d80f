// SPDX-License-Identifier: BSD-3-Clause
#include "pns/netlink/tcp_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

namespace pns::netlink {

std::expected<UniqueFd, BindError> bind_tcp(Ipv4Address address, std::uint16_t tcp_port,
                                            bool may_come_later) {
  const auto failed = [&](const char* call) {
    const int error = errno;
    return std::unexpected(BindError{error, "cannot listen on " + address.to_string() + ":" +
                                                std::to_string(tcp_port) + ": " + call + ": " +
                                                std::strerror(error)});
  };
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failed("socket");
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      (may_come_later && ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) != 0))
    return failed("setsockopt");
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(tcp_port);
  name.sin_addr.s_addr = htonl(address.value);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0)
    return failed("bind");
  return fd;
}

std::optional<uid_t> listening_user(Ipv4Address address, std::uint16_t tcp_port,
                                    const std::filesystem::path& table) {
  constexpr unsigned kListen = 10;  // TCP_LISTEN
  std::ifstream file(table);
  for (std::string line; std::getline(file, line);) {
    unsigned local = 0;
    unsigned port = 0;
    unsigned state = 0;
    unsigned user = 0;
    // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid
    if (std::sscanf(line.c_str(), " %*d: %x:%x %*x:%*x %x %*x:%*x %*x:%*x %*x %u", &local, &port,
                    &state, &user) != 4)
      continue;
    const std::uint32_t host = ntohl(local);
    if (state == kListen && port == tcp_port &&
        (host == address.value || host == 0 || address.value == 0))
      return user;
  }
  return std::nullopt;
}

}  // namespace pns::netlink
