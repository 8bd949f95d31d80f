// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/datagram_sockets.hpp"

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "controlplane/runtime/source_address.hpp"
#include "tests/unit/control_runtime/loop.hpp"

using namespace pns;
using namespace pns::control;
using namespace pns::test;

namespace {

constexpr Ipv4Address kLoopback4(0x7f000001);
constexpr Ipv6Address kLoopback6(0, 1);

struct Datagram {
  IpEndpoint source;
  std::uint16_t socket;
  std::string text;
};

// Sockets whose datagrams are collected.
struct Bench {
  explicit Bench(std::uint16_t ipv4, std::uint16_t ipv6 = 0)
      : sockets(
            poller, open(kLoopback4, ipv4), open(kLoopback6, ipv6),
            [this](const IpEndpoint& source, std::uint16_t socket, Bytes octets) {
              got.push_back(
                  {source, socket, {reinterpret_cast<const char*>(octets.data()), octets.size()}});
              if (when_got) when_got();
            }) {
    sockets.start();
  }
  static std::vector<UniqueFd> open(const IpAddress& local, std::uint16_t count) {
    auto fds = DatagramSockets::open(local, count);
    REQUIRE(fds);
    return std::move(*fds);
  }

  asio::io_context loop{1};
  SocketPoller poller{loop};
  std::vector<Datagram> got;
  std::function<void()> when_got;
  DatagramSockets sockets;
};

// A server on loopback.
struct Peer {
  explicit Peer(const IpAddress& local) {
    auto fds = DatagramSockets::open(local, 1);
    REQUIRE(fds);
    fd = std::move(fds->front());
    sockaddr_storage storage{};
    socklen_t length = sizeof(storage);
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) == 0);
    endpoint.address = local;
    endpoint.port = ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  }
  // Sends what it gets back to whoever sent it, `times` times.
  void echo(int times) const {
    std::array<char, 64> octets;
    sockaddr_storage from{};
    socklen_t length = sizeof(from);
    const auto size = ::recvfrom(fd.get(), octets.data(), octets.size(), 0,
                                 reinterpret_cast<sockaddr*>(&from), &length);
    REQUIRE(size > 0);
    for (int i = 0; i < times; ++i)
      REQUIRE(::sendto(fd.get(), octets.data(), static_cast<std::size_t>(size), 0,
                       reinterpret_cast<const sockaddr*>(&from), length) == size);
  }
  UniqueFd fd;
  IpEndpoint endpoint;
};

}  // namespace

TEST_CASE("datagram sockets: each receives what is sent to it, of both families", "[runtime]") {
  Bench bench(3, 2);
  CHECK(bench.sockets.count(false) == 3);
  CHECK(bench.sockets.count(true) == 2);
  for (const IpAddress& local : {IpAddress(kLoopback4), IpAddress(kLoopback6)}) {
    const Peer peer(local);
    for (std::uint16_t i = 0; i < bench.sockets.count(is_ipv6(local)); ++i) {
      bench.got.clear();
      REQUIRE(bench.sockets.send(peer.endpoint, i, as_octets("ask " + std::to_string(i))));
      peer.echo(1);
      REQUIRE(until(bench.loop, [&] { return !bench.got.empty(); }));
      CHECK(bench.got[0].source == peer.endpoint);
      CHECK(bench.got[0].socket == i);
      CHECK(bench.got[0].text == "ask " + std::to_string(i));
    }
  }
}

TEST_CASE("datagram sockets: one turn reads a bounded batch, the next ones read the rest",
          "[runtime]") {
  Bench bench(1);
  const Peer peer(kLoopback4);
  REQUIRE(bench.sockets.send(peer.endpoint, 0, as_octets("x")));
  peer.echo(20);
  bench.loop.restart();
  REQUIRE(until(bench.loop, [&] { return !bench.got.empty(); }));
  CHECK(bench.got.size() == DatagramSockets::kBatch);
  CHECK(until(bench.loop, [&] { return bench.got.size() == 20; }));
}

TEST_CASE("datagram sockets: a peer that is not there changes nothing", "[runtime]") {
  Bench bench(1);
  IpEndpoint gone;
  {
    const Peer closed(kLoopback4);
    gone = closed.endpoint;
  }
  for (int i = 0; i < 3; ++i) {
    CHECK(bench.sockets.send(gone, 0, as_octets("x")));
    drain(bench.loop);
  }
  const Peer peer(kLoopback4);
  REQUIRE(bench.sockets.send(peer.endpoint, 0, as_octets("y")));
  peer.echo(1);
  CHECK(until(bench.loop, [&] { return bench.got.size() == 1; }));
}

TEST_CASE("datagram sockets: a socket or a family that is not there does not send", "[runtime]") {
  Bench bench(1);
  CHECK_FALSE(bench.sockets.send({kLoopback4, 9}, 1, as_octets("x")));
  CHECK_FALSE(bench.sockets.send({kLoopback6, 9}, 0, as_octets("x")));
}

TEST_CASE("datagram sockets: stop() ends reading in the middle of a batch", "[runtime]") {
  Bench bench(1);
  const Peer peer(kLoopback4);
  REQUIRE(bench.sockets.send(peer.endpoint, 0, as_octets("x")));
  peer.echo(5);
  bench.when_got = [&] { bench.sockets.stop(); };
  REQUIRE(until(bench.loop, [&] { return !bench.got.empty(); }));
  drain(bench.loop);
  CHECK(bench.got.size() == 1);
}

TEST_CASE("datagram sockets: an address of another host cannot be bound, and says so",
          "[runtime]") {
  const auto fds = DatagramSockets::open(Ipv4Address(0xc0000201), 1);
  REQUIRE_FALSE(fds);
  CHECK(fds.error().starts_with("UDP socket at 192.0.2.1: "));
}

TEST_CASE("datagram sockets: the source address towards a peer", "[runtime]") {
  CHECK(source_towards({kLoopback4, 1812}) == IpAddress(kLoopback4));
  CHECK(source_towards({kLoopback6, 1812}) == IpAddress(kLoopback6));
}
