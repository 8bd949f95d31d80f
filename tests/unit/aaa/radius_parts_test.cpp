// SPDX-License-Identifier: BSD-3-Clause
//
// The parts of the RADIUS client that have no packets: window, Identifiers, round trip, health.
#include <catch2/catch.hpp>
#include <set>
#include <tuple>

#include "controlplane/aaa/radius_health.hpp"
#include "controlplane/aaa/radius_identifiers.hpp"
#include "controlplane/aaa/radius_request.hpp"
#include "controlplane/aaa/radius_round_trip.hpp"
#include "controlplane/aaa/radius_window.hpp"

using namespace pns;
using namespace pns::aaa;
using State = model::RadiusState;
using Todo = RadiusHealth::Todo;

namespace {

constexpr TimePoint kStart{Seconds(1000)};

}  // namespace

// ---- Window

TEST_CASE("radius window: slow start from 32 doubles with each window of answers",
          "[aaa][radius]") {
  RadiusWindow window(1024);
  CHECK(window.size() == 32);
  CHECK(window.has_room(31));
  CHECK_FALSE(window.has_room(32));
  for (int i = 0; i < 32; ++i) window.on_answer(window.size());
  CHECK(window.size() == 64);
  for (int i = 0; i < 5000; ++i) window.on_answer(window.size());
  CHECK(window.size() == 1024);
}

TEST_CASE("radius window: a window that is not used does not grow", "[aaa][radius]") {
  RadiusWindow window(1024);
  for (int i = 0; i < 100; ++i) window.on_answer(1);
  CHECK(window.size() == 32);
}

TEST_CASE("radius window: a loss halves it, and it grows by one for each window of answers",
          "[aaa][radius]") {
  RadiusWindow window(1024);
  for (int i = 0; i < 96; ++i) window.on_answer(window.size());
  REQUIRE(window.size() == 128);
  window.on_loss(kStart, kStart + Seconds(1));
  CHECK(window.size() == 64);
  CHECK_FALSE(window.is_slow_start());
  for (int i = 0; i < 64; ++i) window.on_answer(window.size());
  CHECK(window.size() == 65);
}

TEST_CASE("radius window: losses of one event halve it once", "[aaa][radius]") {
  RadiusWindow window(1024);
  for (int i = 0; i < 10; ++i) window.on_loss(kStart + Milliseconds(i), kStart + Seconds(1));
  CHECK(window.size() == 16);
  window.on_loss(kStart + Seconds(2), kStart + Seconds(3));
  CHECK(window.size() == 8);
  window.on_loss(kStart + Seconds(4), kStart + Seconds(5));
  CHECK(window.size() == RadiusWindow::kMin);
}

// ---- Identifiers

TEST_CASE("radius identifiers: every pair is used once before the first is used again",
          "[aaa][radius][rfc2865-3]") {
  RadiusIdentifiers identifiers(4, 200);
  RadiusRequest request;
  std::set<std::pair<int, int>> seen;
  for (int i = 0; i < 4 * 256; ++i) {
    const auto pair = identifiers.take(request, kStart);
    REQUIRE(pair);
    CHECK(pair->socket == i % 4);
    CHECK(seen.emplace(pair->socket, pair->identifier).second);
    CHECK(identifiers.owner_of(*pair) == &request);
    identifiers.release(*pair, kStart);
  }
  CHECK_FALSE(identifiers.take(request, kStart));
  CHECK(identifiers.in_flight() == 0);
}

TEST_CASE("radius identifiers: a pair rests 5 s after its answer, and 30 s when it had none",
          "[aaa][radius]") {
  RadiusIdentifiers identifiers(1, 0);
  RadiusRequest request;
  for (int i = 0; i < 256; ++i) {
    const auto pair = identifiers.take(request, kStart);
    REQUIRE(pair);
    if (i == 0)
      identifiers.abandon(*pair, {}, kStart);
    else
      identifiers.release(*pair, kStart + Milliseconds(i));
  }
  CHECK_FALSE(identifiers.take(request, kStart + Milliseconds(5000)));
  CHECK_FALSE(identifiers.has_free(kStart + Milliseconds(5000)));
  CHECK(identifiers.next_free() == kStart + Milliseconds(5001));
  CHECK(identifiers.has_free(kStart + Milliseconds(5001)));
  CHECK(identifiers.take(request, kStart + Milliseconds(5001)) == RadiusPair{0, 1});
  CHECK_FALSE(identifiers.take(request, kStart + Milliseconds(5001)));
  // The first of them, which was not answered, comes after the others.
  for (int i = 2; i < 256; ++i)
    REQUIRE(identifiers.take(request, kStart + Seconds(29)) == RadiusPair{0, std::uint8_t(i)});
  CHECK_FALSE(identifiers.take(request, kStart + Seconds(29)));
  CHECK(identifiers.take(request, kStart + Seconds(30)) == RadiusPair{0, 0});
}

TEST_CASE("radius identifiers: the last use of a pair is known", "[aaa][radius]") {
  using Use = RadiusIdentifiers::Use;
  RadiusIdentifiers identifiers(2, 7);
  RadiusRequest request;
  const auto first = *identifiers.take(request, kStart);
  const auto second = *identifiers.take(request, kStart);
  CHECK(identifiers.use_of(first) == Use::kInFlight);
  identifiers.release(first, kStart);
  identifiers.abandon(second, {.request = {}, .sent = kStart}, kStart);
  CHECK(identifiers.abandoned(first) == nullptr);
  REQUIRE(identifiers.abandoned(second) != nullptr);
  CHECK(identifiers.abandoned(second)->sent == kStart);
  identifiers.on_late_answer(second);
  CHECK(identifiers.abandoned(second) == nullptr);
  CHECK(identifiers.use_of(first) == Use::kAnswered);
  CHECK(identifiers.use_of(second) == Use::kAbandoned);
  CHECK(identifiers.use_of({0, 8}) == Use::kNever);
  CHECK(identifiers.use_of({2, 0}) == Use::kNever);  // no such socket
  CHECK(identifiers.owner_of({2, 0}) == nullptr);
}

// ---- Round trip

TEST_CASE("radius round trip: the time-out follows the server", "[aaa][radius][rfc6298-2]") {
  RadiusRoundTrip trip{Seconds(1)};
  CHECK(trip.timeout() == Seconds(1));
  for (int i = 0; i < 20; ++i) trip.on_answer(Milliseconds(5), Milliseconds(5));
  CHECK(trip.timeout() == RadiusRoundTrip::kMin);
  for (int i = 0; i < 100; ++i) trip.on_answer(Seconds(3), Seconds(3));
  CHECK(trip.timeout() > Seconds(3));
  CHECK(trip.timeout() < Seconds(4));
}

TEST_CASE("radius round trip: an answer that comes too soon after a repetition is for the first",
          "[aaa][radius]") {
  RadiusRoundTrip slow{Seconds(1)};
  // The server needs 3 s; the answer meets a repetition that is 10 ms old.
  slow.on_answer(Seconds(3), Milliseconds(10));
  CHECK(slow.timeout() > Seconds(3));
  slow.on_answer(Seconds(3), Milliseconds(10));
  CHECK(slow.smoothed() == Seconds(3));
  // A fast server, whose first transmission was lost.
  RadiusRoundTrip fast{Seconds(1)};
  for (int i = 0; i < 20; ++i) fast.on_answer(Milliseconds(20), Milliseconds(20));
  fast.on_answer(Milliseconds(1020), Milliseconds(20));
  CHECK(fast.smoothed() == Milliseconds(20));
}

// ---- Health

namespace {

void lose(RadiusHealth& health, TimePoint sent, int times, Duration after = Seconds(1)) {
  for (int i = 0; i < times; ++i) {
    health.on_sent(sent);
    health.on_lost(sent, sent + after);
  }
}

}  // namespace

TEST_CASE("radius health: a server is dead by count, time and a lost probe together",
          "[aaa][radius]") {
  RadiusHealth health{RadiusHealthSettings{}};
  lose(health, kStart, 2);
  CHECK(health.state() == State::kAlive);
  CHECK(health.is_doubtful());
  lose(health, kStart, 1);
  CHECK(health.state() == State::kSuspect);
  CHECK(health.advance(kStart + Seconds(1)) == Todo::kProbe);
  CHECK(health.advance(kStart + Seconds(1)) == Todo::kNothing);
  // Enough losses and time, but the probe may still be answered.
  lose(health, kStart + Seconds(11), 10, Seconds(0));
  CHECK(health.advance(kStart + Seconds(11)) == Todo::kNothing);
  health.on_probe_lost(kStart + Seconds(12));
  CHECK(health.advance(kStart + Seconds(12)) == Todo::kDied);
  CHECK(health.state() == State::kDead);
}

TEST_CASE("radius health: many losses at once are no death before the time has passed",
          "[aaa][radius]") {
  RadiusHealth health{RadiusHealthSettings{}};
  lose(health, kStart, 1000);
  CHECK(health.advance(kStart + Seconds(1)) == Todo::kProbe);
  health.on_probe_lost(kStart + Seconds(4));
  CHECK(health.advance(kStart + Seconds(4)) == Todo::kNothing);
  CHECK(health.next() == kStart + Seconds(6));  // another probe
  CHECK(health.on_answer());
  CHECK(health.state() == State::kAlive);
  CHECK_FALSE(health.next());
}

TEST_CASE("radius health: a transmission that is older than the last answer does not count",
          "[aaa][radius]") {
  RadiusHealth health{RadiusHealthSettings{}};
  health.on_sent(kStart);
  CHECK_FALSE(health.on_answer());
  health.on_sent(kStart + Seconds(1));
  for (int i = 0; i < 10; ++i) health.on_lost(kStart, kStart + Seconds(2));
  CHECK(health.state() == State::kAlive);
  CHECK_FALSE(health.is_doubtful());
}

TEST_CASE("radius health: the answer to a probe revives, and the next loss casts doubt again",
          "[aaa][radius][rfc5997]") {
  RadiusHealth health{RadiusHealthSettings{}};
  lose(health, kStart, 3);
  REQUIRE(health.advance(kStart + Seconds(1)) == Todo::kProbe);
  health.on_probe_lost(kStart + Seconds(4));
  REQUIRE(health.advance(kStart + Seconds(10)) == Todo::kDied);
  REQUIRE(health.next() == kStart + Seconds(15));
  REQUIRE(health.advance(kStart + Seconds(15)) == Todo::kProbe);
  CHECK(health.on_probe_answer(kStart + Seconds(16)));
  CHECK(health.state() == State::kAlive);
  lose(health, kStart + Seconds(17), 1);
  CHECK(health.state() == State::kSuspect);
}

TEST_CASE("radius health: without probes a dead server is tried again after the interval",
          "[aaa][radius]") {
  RadiusHealth health{RadiusHealthSettings{.probes = false}};
  lose(health, kStart, 3);
  CHECK(health.advance(kStart + Seconds(1)) == Todo::kNothing);
  CHECK(health.next() == kStart + Seconds(10));
  CHECK(health.advance(kStart + Seconds(10)) == Todo::kDied);
  CHECK(health.next() == kStart + Seconds(15));
  CHECK(health.advance(kStart + Seconds(15)) == Todo::kRevived);
  CHECK(health.state() == State::kAlive);
}
