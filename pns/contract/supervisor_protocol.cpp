// SPDX-License-Identifier: BSD-3-Clause
#include "pns/contract/supervisor_protocol.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>

namespace pns::contract {
namespace {

constexpr bool is_known(SupervisorMessageType type) noexcept {
  using Type = SupervisorMessageType;
  return (type >= Type::kGrantSessionMemory && type <= Type::kSetLog) ||
         (type >= Type::kReady && type <= Type::kConfirm);
}

}  // namespace

bool send_supervisor_message(int socket, const SupervisorMessage& message, int fd) noexcept {
  iovec io{const_cast<SupervisorMessage*>(&message), sizeof(message)};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (fd >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* item = CMSG_FIRSTHDR(&header);
    item->cmsg_level = SOL_SOCKET;
    item->cmsg_type = SCM_RIGHTS;
    item->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(item), &fd, sizeof(int));
  }
  for (;;) {
    const auto sent = ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == static_cast<ssize_t>(sizeof(message))) return true;
    if (sent < 0 && errno == EINTR) continue;
    return false;
  }
}

std::expected<ReceivedSupervisorMessage, ReceiveError> receive_supervisor_message(
    int socket) noexcept {
  ReceivedSupervisorMessage received;
  iovec io{&received.message, sizeof(received.message)};
  msghdr header{};
  header.msg_iov = &io;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = 0;
  // ECONNRESET comes once, when the other side has ended before it read everything, and ahead of
  // what it had sent.
  do {
    got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && (errno == EINTR || errno == ECONNRESET));
  if (got < 0)
    return std::unexpected(errno == EAGAIN || errno == EWOULDBLOCK ? ReceiveError::kWouldBlock
                                                                   : ReceiveError::kClosed);
  if (got == 0) return std::unexpected(ReceiveError::kClosed);
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != SOL_SOCKET || item->cmsg_type != SCM_RIGHTS) continue;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(item), sizeof(int));
    received.fd.reset(fd);
  }
  // MSG_CTRUNC: this process has no descriptor left. The message is whole without it.
  if (got != static_cast<ssize_t>(sizeof(SupervisorMessage)) ||
      (header.msg_flags & MSG_TRUNC) != 0 || !received.message.is_readable())
    return std::unexpected(ReceiveError::kMalformed);
  received.message.text.back() = '\0';
  return received;
}

std::expected<Grants, std::string> receive_grants(int socket, int timeout_ms) {
  using Clock = std::chrono::steady_clock;
  auto deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
  Grants grants;
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd wait{socket, POLLIN, 0};
    const int ready = left <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return std::unexpected("no grants from the supervisor in time");
    auto received = receive_supervisor_message(socket);
    if (!received) {
      if (received.error() == ReceiveError::kWouldBlock) continue;
      return std::unexpected(
          received.error() == ReceiveError::kClosed
              ? "the supervisor closed its socket"
              : "a supervisor of another version, or malformed: see docs/upgrade.md");
    }
    deadline = Clock::now() + std::chrono::milliseconds(timeout_ms);
    const SupervisorMessage& message = received->message;
    grants.supervisor_version = message.version;
    switch (message.type) {
      case SupervisorMessageType::kGrantSessionMemory:
        grants.session_memory = std::move(received->fd);
        break;
      case SupervisorMessageType::kGrantWire:
        if (message.port < grants.wires.size())
          grants.wires[message.port] = std::move(received->fd);
        break;
      case SupervisorMessageType::kGrantTwin:
        if (message.port < grants.twins.size())
          grants.twins[message.port] = std::move(received->fd);
        break;
      case SupervisorMessageType::kGrantServices:
        grants.services = std::move(received->fd);
        break;
      case SupervisorMessageType::kGrantListener:
        grants.listeners.push_back({std::move(received->fd), message.local, message.tcp_port});
        break;
      case SupervisorMessageType::kGrantConnection:
        if (!received->fd) break;  // closed meanwhile, or no descriptor is left here
        grants.connections.push_back({std::move(received->fd), message.connection, message.local,
                                      message.peer, message.tcp_port});
        break;
      case SupervisorMessageType::kPlaneState:
        grants.dataplane_serves = message.value != 0;
        break;
      case SupervisorMessageType::kGrantsComplete:
        return grants;
      default:
        // A type that this program does not know is a newer supervisor's, and nothing that we need.
        if (is_known(message.type))
          return std::unexpected("unexpected message from the supervisor");
        break;
    }
  }
}

void tell_failure(int socket, std::string_view reason) noexcept {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kFailed;
  reason.copy(message.text.data(), message.text.size() - 1);
  (void)send_supervisor_message(socket, message);
}

}  // namespace pns::contract
