// SPDX-License-Identifier: BSD-3-Clause
//
// CallPlacer alone, with its owner's part played by the test: a Service over real sockets
// cannot be brought to do these at will. See service_pac_test.cpp for the rest.
#include "controlplane/subscriber/call_placer.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <vector>

#include "controlplane/runtime/asio_event_loop.hpp"
#include "controlplane/runtime/connector.hpp"

using namespace pns;
using subscriber::CallPlacer;
using subscriber::PlacedCall;

namespace {

constexpr Ipv4Address kOurs{0x7f000002};
constexpr Ipv4Address kPac{0x7f000003};  // the higher one: it wins collisions

struct Owner {
  Owner() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(kPac.value);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listener.get(), 4) == 0);
    REQUIRE(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    placer.emplace(
        event_loop, connector, std::vector{kOurs}, ntohs(address.sin_port),
        CallPlacer::Hooks{
            .established = [](Ipv4Address) { return std::optional<ConnectionId>(); },
            .originate = [this](UniqueFd, Ipv4Address,
                                Ipv4Address pac) -> std::optional<ConnectionId> {
              const ConnectionId id(++originated);
              if (fail_while_made) placer->on_closed(id, pac, EndReason::peer_reset_tcp);
              return id;
            },
            .yield_collision =
                [this](ConnectionId id) { placer->on_closed(id, kPac, EndReason::collision_lost); },
            .dial = [this](ConnectionId, std::uint64_t, const pptp::OutgoingCall&)
                -> std::expected<SessionId, EndReason> { return SessionId(++dialled); },
            .clear = [](SessionId, EndReason) {},
            .count_end = [](EndReason) {}});
  }

  void place() {
    placer->place({.pac = kPac, .call = {}},
                  [this](const PlacedCall& call) { ends.push_back(call.failure); });
  }
  bool until_originated(std::uint64_t count) {
    for (int i = 0; i < 5'000 && originated < count; ++i) {
      loop.restart();
      (void)loop.run_one_for(std::chrono::milliseconds(1));
    }
    return originated == count;
  }

  asio::io_context loop;
  control::AsioEventLoop event_loop{loop};
  control::Connector connector{loop, CallPlacer::kMaxAttempts};
  UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::uint64_t originated = 0;
  std::uint64_t dialled = 0;
  bool fail_while_made = false;
  std::vector<EndReason> ends;
  std::optional<CallPlacer> placer;
};

}  // namespace

TEST_CASE("call placer: a connection that fails while it is made stands in nobody's way",
          "[placer]") {
  Owner owner;
  owner.fail_while_made = true;
  owner.place();
  REQUIRE(owner.until_originated(1));
  CHECK(owner.ends == std::vector{EndReason::peer_reset_tcp});
  owner.fail_while_made = false;
  owner.place();
  REQUIRE(owner.until_originated(2));
  owner.placer->on_established(ConnectionId(2), kPac);
  CHECK(owner.dialled == 1);
}

TEST_CASE("call placer: a call that waits for the winner of a collision ends with it",
          "[placer][rfc2637-3.1.3]") {
  Owner owner;
  owner.place();
  REQUIRE(owner.until_originated(1));
  REQUIRE(owner.placer->on_start_request(kOurs, kPac) == CallPlacer::Collision::kWeLose);
  CHECK(owner.ends.empty());
  SECTION("the winner is established") {
    owner.placer->on_established(ConnectionId(9), kPac);
    CHECK(owner.dialled == 1);
  }
  SECTION("the winner comes to nothing") {
    owner.placer->on_closed(ConnectionId(9), kPac, EndReason::peer_closed_tcp);
    CHECK(owner.ends == std::vector{EndReason::peer_closed_tcp});
    CHECK(owner.placer->pending() == 0);
  }
}
