// SPDX-License-Identifier: BSD-3-Clause
//
// Listener: accepts TCP 1723 connections from a listening socket that the supervisor holds. A
// bounded number per turn of the loop, so that a storm of connects never starves established calls.
// Callers never take the last descriptors of the process (256, or an eighth of a small limit),
// which the metrics, the management socket and the store need. A caller beyond is closed at once:
// it hears so, and does not hang in the backlog. While no descriptor is free at all, a spare one
// serves for that. The limit is that of construction. Event-loop thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/log/log.hpp"

namespace pns::control {

class Listener {
 public:
  using Accepted =
      std::function<void(UniqueFd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port)>;
  // Closed for want of a descriptor.
  using TurnedAway = std::function<void()>;

  Listener(asio::io_context& context, UniqueFd socket, Accepted accepted, TurnedAway turned_away);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start() { wait(); }
  void stop();

 private:
  void wait();
  void accept_some();
  void keep_spare();
  // Accepts and closes one. False: not even that is possible.
  [[nodiscard]] bool turn_away();
  void note_turned_away();

  asio::posix::stream_descriptor socket_;
  asio::steady_timer pause_;
  Accepted accepted_;
  TurnedAway turned_away_;
  UniqueFd spare_;
  int first_reserved_;  // the kernel gives the lowest descriptor that is free
  log::RateLimit log_limit_;
};

}  // namespace pns::control
