// SPDX-License-Identifier: BSD-3-Clause
//
// Turning an event loop in a test until something is so, and pairs of sockets.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>

#include "pns/base/unique_fd.hpp"

namespace pns::test {

// Turns the loop until the condition holds. False: it did not within five seconds.
template <class Condition>
bool until(asio::io_context& loop, Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    loop.restart();
    (void)loop.run_one_for(std::chrono::milliseconds(1));
  }
  return true;
}

// Everything that is ready now.
inline void drain(asio::io_context& loop) {
  do loop.restart();
  while (loop.poll() != 0);
}

inline UniqueFd listen_on_loopback(sockaddr_in& address) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener.get(), 128) == 0);
  REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  return listener;
}

inline UniqueFd connect_to(const sockaddr_in& address, int receive_buffer = 0) {
  UniqueFd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (receive_buffer != 0)
    ::setsockopt(out.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
  REQUIRE(::connect(out.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  const int one = 1;
  ::setsockopt(out.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return out;
}

struct TcpPair {
  UniqueFd ours, theirs;
  explicit TcpPair(int receive_buffer = 0) {
    sockaddr_in address{};
    const UniqueFd listener = listen_on_loopback(address);
    theirs = connect_to(address, receive_buffer);
    ours.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    REQUIRE(ours);
  }
};

}  // namespace pns::test
