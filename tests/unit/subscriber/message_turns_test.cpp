// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/message_turns.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "tests/support/fake_event_loop.hpp"

using namespace pns;
using namespace pns::subscriber;
using pns::test::FakeEventLoop;

namespace {

constexpr Ipv4Address kA{0xcb007105};
constexpr Ipv4Address kB{0xcb007106};

// Connections that have so many messages left, and announce themselves until they have none.
struct Bench {
  explicit Bench(SourceLimits::Settings settings = {}) : limits(std::move(settings)) {}

  void send(std::uint64_t connection, Ipv4Address source, std::size_t messages) {
    sources.emplace(connection, source);
    left[connection] += messages;
    turns.add(ConnectionId(connection), source);
  }
  // One handler of the event loop.
  bool step() { return loop.step(); }

  std::size_t read(ConnectionId id, std::size_t max_messages) {
    const std::size_t handled = std::min(left[id.value], max_messages);
    left[id.value] -= handled;
    visits.emplace_back(id.value, handled);
    // As a socket does once its messages are consumed.
    if (left[id.value] != 0) loop.post([this, id] { turns.add(id, sources.at(id.value)); });
    return handled;
  }

  FakeEventLoop loop;
  SourceLimits limits;
  std::map<std::uint64_t, std::size_t> left;
  std::map<std::uint64_t, Ipv4Address> sources;
  std::vector<std::pair<std::uint64_t, std::size_t>> visits;
  MessageTurns turns{loop, limits, [this](ConnectionId id, std::size_t max_messages) {
                       return read(id, max_messages);
                     }};
};

}  // namespace

TEST_CASE("message turns: one turn handles a bounded number of messages of one connection",
          "[subscriber][limits]") {
  Bench bench;
  bench.send(1, kA, 5000);
  CHECK(bench.left[1] == 5000);  // not before the turn
  REQUIRE(bench.step());
  CHECK(bench.left[1] == 5000 - MessageTurns::kMessagesOfOne);
  bench.loop.run();
  CHECK(bench.left[1] == 0);
}

TEST_CASE("message turns: another source is served in the next turn, whatever one source sends",
          "[subscriber][limits][conformance-65]") {
  Bench bench;
  for (std::uint64_t connection = 1; connection <= 128; ++connection)
    bench.send(connection, kA, 5000);
  REQUIRE(bench.step());
  std::size_t handled = 0;
  for (const auto& [connection, messages] : bench.visits) handled += messages;
  CHECK(handled <= MessageTurns::kMessagesOfAll);
  bench.visits.clear();
  bench.send(1000, kB, 1);
  REQUIRE(bench.step());
  while (bench.left[1000] != 0) REQUIRE(bench.step());
  handled = 0;
  for (const auto& [connection, messages] : bench.visits) handled += messages;
  CHECK(handled <= 2 * MessageTurns::kMessagesOfAll);
}

TEST_CASE("message turns: a source without messages left waits, is not forgotten, and nobody else",
          "[subscriber][limits]") {
  Bench bench({.messages = {.rate = 100, .burst = 50}});
  bench.send(1, kA, 150);
  bench.loop.run();
  CHECK(bench.left[1] == 100);
  CHECK(bench.turns.paused_sources() == 1);
  bench.send(2, kB, 10);
  bench.loop.run();
  CHECK(bench.left[2] == 0);
  bench.loop.advance(Milliseconds(500));
  CHECK(bench.left[1] >= 50);
  CHECK(bench.left[1] <= 53);
  bench.loop.advance(Milliseconds(540));
  CHECK(bench.left[1] == 0);
  CHECK(bench.turns.paused_sources() == 0);
  CHECK(bench.limits.limited()[static_cast<std::size_t>(SourceLimits::Limit::kMessages)] > 0);
}

TEST_CASE("message turns: what a source may send is shared out among its connections",
          "[subscriber][limits]") {
  Bench bench({.messages = {.rate = 1000, .burst = 1000}});
  bench.send(1, kA, 1000);
  bench.loop.run();  // the burst is used up
  for (std::uint64_t connection = 2; connection <= 100; ++connection)
    bench.send(connection, kA, 5000);
  bench.send(101, kA, 1);  // somebody else behind the same address
  bench.loop.advance(Milliseconds(150));
  CHECK(bench.left[101] == 0);
}

TEST_CASE("message turns: a connection that is gone costs one visit", "[subscriber][limits]") {
  Bench bench;
  bench.turns.add(ConnectionId(7), kA);
  bench.loop.run();
  CHECK(bench.visits == std::vector<std::pair<std::uint64_t, std::size_t>>{{7, 0}});
  CHECK(bench.limits.messages_allowed(kA, bench.loop.now()) == 10'000);
}
