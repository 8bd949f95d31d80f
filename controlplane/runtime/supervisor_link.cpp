// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/supervisor_link.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace pns::control {

using contract::SupervisorMessage;
using contract::SupervisorMessageType;

namespace {

constexpr auto kBeatInterval = std::chrono::seconds(2);

enum class Outcome : std::uint8_t { kSent, kFull, kHopeless };

// kHopeless: the supervisor is gone (which wait_message() tells); to try again would never end.
Outcome try_send(int socket, const SupervisorMessage& message, int fd) noexcept {
  if (contract::send_supervisor_message(socket, message, fd)) return Outcome::kSent;
  const bool full = errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ||
                    errno == ENOMEM || errno == ETOOMANYREFS;
  return full ? Outcome::kFull : Outcome::kHopeless;
}

}  // namespace

SupervisorLink::SupervisorLink(asio::io_context& context, UniqueFd socket, std::uint32_t version,
                               Events events)
    : socket_(context, socket.release()),
      beat_timer_(context),
      version_(version),
      events_(std::move(events)) {}

void SupervisorLink::start() {
  socket_.non_blocking(true);
  wait_message();
  beat();
}

void SupervisorLink::ready() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kReady;
  send(message, -1);
}

void SupervisorLink::store_connection(ConnectionId id, int fd, Ipv4Address local, Ipv4Address peer,
                                      std::uint16_t peer_port) {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kStoreConnection;
  message.connection = id;
  message.local = local;
  message.peer = peer;
  message.tcp_port = peer_port;
  send(message, fd);
}

void SupervisorLink::forget_connection(ConnectionId id) {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kForgetConnection;
  message.connection = id;
  send(message, -1);
}

void SupervisorLink::set_route(const std::string& network, bool in_force) {
  if (version_ < contract::kSetRouteSince) return;
  SupervisorMessage message;
  message.type = SupervisorMessageType::kSetRoute;
  message.value = in_force ? 1 : 0;
  network.copy(message.text.data(), message.text.size() - 1);
  send(message, -1);
}

void SupervisorLink::request_restart(const Restart& restart, RestartAnswer answer) {
  if (restart.confirm_within > Seconds(0) && version_ < contract::kConfirmSince)
    return answer("the supervisor is of an earlier release: it cannot wait for a confirmation");
  SupervisorMessage message;
  message.type = SupervisorMessageType::kRequestRestart;
  message.value = static_cast<std::uint32_t>(restart.what);
  message.within_s = static_cast<std::uint32_t>(restart.within.count());
  message.confirm_within_s = static_cast<std::uint32_t>(restart.confirm_within.count());
  ask(message, std::move(answer));
}

void SupervisorLink::confirm(RestartAnswer answer) {
  if (version_ < contract::kConfirmSince) return answer("no configuration waits to be confirmed");
  SupervisorMessage message;
  message.type = SupervisorMessageType::kConfirm;
  ask(message, std::move(answer));
}

void SupervisorLink::ask(SupervisorMessage message, RestartAnswer answer) {
  // A number of this process: an answer to its predecessor is nobody's.
  message.request = (static_cast<std::uint32_t>(::getpid()) << 8) + (++next_request_ & 0xff);
  restarts_.insert_or_assign(message.request, std::move(answer));
  send(message, -1);
}

void SupervisorLink::on_restart_answer(const SupervisorMessage& message) {
  auto asked = restarts_.extract(message.request);
  if (asked.empty()) return;
  if (message.type == SupervisorMessageType::kRestartAccepted) return asked.mapped()(std::nullopt);
  asked.mapped()(std::string(message.text.data()));
}

void SupervisorLink::send(const SupervisorMessage& message, int fd) {
  if (backlog_.empty() && try_send(socket_.native_handle(), message, fd) != Outcome::kFull) return;
  // Keep a duplicate: the caller may close its descriptor before the message leaves.
  UniqueFd duplicate(fd >= 0 ? ::fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1);
  backlog_.push_back({message, std::move(duplicate)});
  wait_writable();
}

void SupervisorLink::wait_writable() {
  if (writing_) return;
  writing_ = true;
  socket_.async_wait(
      asio::posix::stream_descriptor::wait_write, [this](const asio::error_code& error) {
        writing_ = false;
        if (error) return;
        while (!backlog_.empty() && try_send(socket_.native_handle(), backlog_.front().message,
                                             backlog_.front().fd.get()) != Outcome::kFull)
          backlog_.pop_front();
        if (!backlog_.empty()) wait_writable();
      });
}

void SupervisorLink::wait_message() {
  socket_.async_wait(
      asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& error) {
        if (error) return;
        for (;;) {
          auto received = contract::receive_supervisor_message(socket_.native_handle());
          if (!received) {
            if (received.error() == contract::ReceiveError::kWouldBlock) break;
            return events_.lost();
          }
          switch (received->message.type) {
            case SupervisorMessageType::kStop:
              events_.stop(Milliseconds(received->message.value));
              break;
            case SupervisorMessageType::kLeave:
              events_.leave(Milliseconds(received->message.value));
              break;
            case SupervisorMessageType::kConnectionNotKept:
              events_.not_kept(received->message.connection);
              break;
            case SupervisorMessageType::kRestartAccepted:
            case SupervisorMessageType::kRestartRefused:
              on_restart_answer(received->message);
              break;
            default:
              break;
          }
        }
        wait_message();
      });
}

void SupervisorLink::beat() {
  SupervisorMessage message;
  message.type = SupervisorMessageType::kWatchdog;
  if (backlog_.empty()) send(message, -1);
  beat_timer_.expires_after(kBeatInterval);
  beat_timer_.async_wait([this](const asio::error_code& error) {
    if (!error) beat();
  });
}

}  // namespace pns::control
