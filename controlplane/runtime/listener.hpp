// SPDX-License-Identifier: BSD-3-Clause
//
// Listener: accepts TCP 1723 connections from a listening socket that the supervisor holds. A
// bounded number per turn of the loop, so that a storm of connects never starves established calls.
// Event-loop thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <functional>

#include "pns/base/ip_address.hpp"
#include "pns/base/unique_fd.hpp"

namespace pns::control {

class Listener {
 public:
  using Accepted =
      std::function<void(UniqueFd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port)>;

  Listener(asio::io_context& context, UniqueFd socket, Accepted accepted);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void start() { wait(); }
  void stop();

 private:
  void wait();
  void accept_some();

  asio::posix::stream_descriptor socket_;
  asio::steady_timer pause_;
  Accepted accepted_;
};

}  // namespace pns::control
