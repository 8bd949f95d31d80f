// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/tcp_stream.hpp"

#include <linux/tcp.h>  // tcp_info in full; cannot stand beside netinet/tcp.h
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace pns::control {
namespace {

constexpr int kTries = 8;

std::optional<std::uint64_t> octets_received(int fd) noexcept {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info.tcpi_bytes_received;
}

}  // namespace

std::optional<std::uint64_t> octets_consumed(int fd) noexcept {
  for (int n = 0; n < kTries; ++n) {
    const auto before = octets_received(fd);
    int waiting = 0;
    if (!before || ::ioctl(fd, FIONREAD, &waiting) != 0 || waiting < 0) return std::nullopt;
    pollfd state{fd, POLLRDHUP, 0};
    const bool ended = ::poll(&state, 1, 0) > 0 && (state.revents & POLLRDHUP) != 0;
    // Otherwise something came in between.
    if (octets_received(fd) != before) continue;
    // The kernel counts the end of the stream as an octet received, not as one that waits.
    const std::uint64_t unread = static_cast<std::uint64_t>(waiting) + (ended ? 1 : 0);
    return *before >= unread ? *before - unread : 0;
  }
  return std::nullopt;
}

}  // namespace pns::control
