// SPDX-License-Identifier: BSD-3-Clause
//
// Listener: accepts TCP 1723 connections from a listening socket that the supervisor holds. A
// bounded number per turn of the loop, so that a storm of connects never starves established calls.
// While no descriptor is free callers are accepted on a spare one and closed at once: they hear so,
// and do not hang in the backlog. Event-loop thread only.
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

  asio::posix::stream_descriptor socket_;
  asio::steady_timer pause_;
  Accepted accepted_;
  TurnedAway turned_away_;
  UniqueFd spare_;
  log::RateLimit log_limit_;
};

}  // namespace pns::control
