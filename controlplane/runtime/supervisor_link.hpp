// SPDX-License-Identifier: BSD-3-Clause
//
// SupervisorLink: the control process's side of the socket it inherited. Stores each accepted TCP
// socket with the supervisor, so that a SIGKILL of this process closes none of them; says that the
// loop turns; hears when to stop. Event-loop thread only. Never blocks.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>

#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::control {

class SupervisorLink {
 public:
  struct Events {
    std::function<void(Milliseconds within)> stop;
    std::function<void()> lost;  // the supervisor is gone
  };

  SupervisorLink(asio::io_context& context, UniqueFd socket, Events events);
  SupervisorLink(const SupervisorLink&) = delete;
  SupervisorLink& operator=(const SupervisorLink&) = delete;

  // Begins to listen and to send the watchdog beat.
  void start();
  void ready();
  // The supervisor gets its own duplicate of `fd`.
  void store_connection(ConnectionId id, int fd, Ipv4Address local, Ipv4Address peer,
                        std::uint16_t peer_port);
  void forget_connection(ConnectionId id);

  // Messages that wait because the supervisor is slow; bounded by what connections there are.
  [[nodiscard]] std::size_t backlog() const noexcept { return backlog_.size(); }

 private:
  struct Pending {
    contract::SupervisorMessage message;
    UniqueFd fd;
  };

  void send(const contract::SupervisorMessage& message, int fd);
  void wait_writable();
  void wait_message();
  void beat();

  asio::posix::stream_descriptor socket_;
  asio::steady_timer beat_timer_;
  Events events_;
  std::deque<Pending> backlog_;
  bool writing_ = false;
};

}  // namespace pns::control
