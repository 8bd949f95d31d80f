// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/connector.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <optional>

#include "controlplane/runtime/source_address.hpp"

using namespace pns;
using namespace pns::control;

namespace {

constexpr Ipv4Address kLoopback{0x7f000001};
constexpr Ipv4Address kFrom{0x7f000009};

// A listener on loopback; port 0 afterwards: nobody listens there any more.
struct Peer {
  UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::uint16_t port = 0;
  Peer() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(kLoopback.value);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(socket.get(), 4) == 0);
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port = ntohs(address.sin_port);
  }
};

using Result = std::expected<UniqueFd, int>;

}  // namespace

TEST_CASE("connector: a connection comes from the address that was named", "[connector]") {
  asio::io_context loop;
  Connector connector(loop, 4);
  Peer peer;
  std::optional<Result> result;
  REQUIRE(connector.connect(kFrom, kLoopback, peer.port, Seconds(5),
                            [&](Result r) { result = std::move(r); }) != 0);
  CHECK_FALSE(result.has_value());
  loop.run();
  REQUIRE(result.has_value());
  REQUIRE(bool(result->has_value()));
  sockaddr_in from{};
  socklen_t length = sizeof(from);
  const UniqueFd accepted(::accept(peer.socket.get(), reinterpret_cast<sockaddr*>(&from), &length));
  REQUIRE(accepted);
  CHECK(Ipv4Address(ntohl(from.sin_addr.s_addr)) == kFrom);
}

TEST_CASE("connector: who cannot be reached is an errno", "[connector]") {
  asio::io_context loop;
  Connector connector(loop, 4);
  std::optional<Result> result;
  const auto keep = [&](Result r) { result = std::move(r); };
  int expected = 0;
  SECTION("nobody listens") {
    std::uint16_t port = 0;
    {
      const Peer gone;
      port = gone.port;
    }
    expected = ECONNREFUSED;
    REQUIRE(connector.connect(kFrom, kLoopback, port, Seconds(5), keep) != 0);
  }
  SECTION("the address is not ours") {
    expected = EADDRNOTAVAIL;
    REQUIRE(connector.connect(Ipv4Address(0xc0000201), kLoopback, 1, Seconds(5), keep) != 0);
  }
  loop.run();
  REQUIRE(result.has_value());
  REQUIRE_FALSE(result->has_value());
  CHECK(result->error() == expected);
}

TEST_CASE("connector: time runs out, attempts are bounded, and can be cancelled", "[connector]") {
  asio::io_context loop;
  Connector connector(loop, 2);
  Peer peer;
  std::optional<Result> timed;
  int cancelled = 0;
  // The time is over before the loop turns: whichever is first, `done` comes once.
  REQUIRE(connector.connect(kFrom, kLoopback, peer.port, Duration(0),
                            [&](Result r) { timed = std::move(r); }) != 0);
  const auto second =
      connector.connect(kFrom, kLoopback, peer.port, Seconds(5), [&](Result) { ++cancelled; });
  REQUIRE(second != 0);
  CHECK(connector.connect(kFrom, kLoopback, peer.port, Seconds(5), [](Result) {}) == 0);
  connector.cancel(second);
  connector.cancel(4711);
  loop.run();
  CHECK(timed.has_value());
  CHECK(cancelled == 0);
  // Room again.
  CHECK(connector.connect(kFrom, kLoopback, peer.port, Seconds(5), [](Result) {}) != 0);
}

TEST_CASE("connector: the kernel says where it would send from", "[connector]") {
  CHECK(source_towards(kLoopback) == kLoopback);
}
