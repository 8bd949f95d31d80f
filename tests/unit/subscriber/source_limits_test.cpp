// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/source_limits.hpp"

#include <catch2/catch.hpp>
#include <set>

using namespace pns;
using namespace pns::subscriber;

namespace {

constexpr TimePoint kStart{Seconds(1000)};
constexpr Ipv4Address kA{0xcb007105};
constexpr Ipv4Address kB{0xcb007106};

using Limit = SourceLimits::Limit;

std::uint64_t limited(const SourceLimits& limits, Limit limit) {
  return limits.limited()[static_cast<std::size_t>(limit)];
}

// All parts of the list at once.
std::vector<SourceLimits::View> top(const SourceLimits& limits, std::size_t count) {
  SourceLimits::Top top(limits, count);
  while (top.turn()) {
  }
  return top.views();
}

}  // namespace

TEST_CASE("token bucket: a burst, then the rate, and never more than the burst", "[base]") {
  constexpr TokenBucket::Settings kSettings{.rate = 10, .burst = 3};
  TokenBucket bucket;
  CHECK(bucket.available(kSettings, kStart) == 3);
  for (int i = 0; i < 3; ++i) CHECK(bucket.try_take(kSettings, kStart));
  CHECK_FALSE(bucket.try_take(kSettings, kStart));
  CHECK_FALSE(bucket.try_take(kSettings, kStart + Milliseconds(99)));
  CHECK(bucket.try_take(kSettings, kStart + Milliseconds(100)));
  CHECK(bucket.available(kSettings, kStart + Seconds(3600)) == 3);
  bucket.take(kSettings, 100, kStart + Seconds(3600));  // those that there are
  CHECK(bucket.available(kSettings, kStart + Seconds(3600)) == 0);
  CHECK(bucket.available(kSettings, kStart + Seconds(3600) + Milliseconds(250)) == 2);
  CHECK_FALSE(bucket.is_full(kSettings, kStart + Seconds(3600)));
  CHECK(bucket.is_full(kSettings, kStart + Seconds(3601)));
}

TEST_CASE("source limits: connections of one source are bounded, and others are not",
          "[subscriber][limits]") {
  SourceLimits limits({.connections = 2});
  for (std::uint64_t i = 1; i <= 2; ++i) {
    CHECK(limits.admit(kA) == EndReason::kNone);
    limits.add(kA);
  }
  CHECK(limits.admit(kA) == EndReason::source_connections);
  CHECK(limits.admit(kB) == EndReason::kNone);
  limits.remove(kA, ConnectionId(1));
  CHECK(limits.admit(kA) == EndReason::kNone);
  CHECK(limited(limits, Limit::kConnections) == 1);
}

TEST_CASE("source limits: deny is stronger than allow, and an allow list shuts others out",
          "[subscriber][limits]") {
  const auto prefix = [](const char* text) { return Ipv4Prefix::parse(text).value(); };
  SourceLimits limits({.allow = {prefix("203.0.113.0/24")}, .deny = {prefix("203.0.113.6/32")}});
  CHECK(limits.admit(kA) == EndReason::kNone);
  CHECK(limits.admit(kB) == EndReason::source_denied);
  CHECK(limits.admit(Ipv4Address(0x0a000001)) == EndReason::source_denied);
  CHECK(limits.sources() == 0);  // nothing is kept of them
}

TEST_CASE("source limits: exempt sources are held back by nothing", "[subscriber][limits]") {
  SourceLimits limits({.connections = 1,
                       .all_connections = 10,
                       .new_calls = {.rate = 1, .burst = 1},
                       .messages = {.rate = 1, .burst = 1},
                       .exempt = {Ipv4Prefix::parse("203.0.113.5/32").value()}});
  for (std::uint64_t i = 1; i <= 10; ++i) {
    CHECK(limits.admit(kA) == EndReason::kNone);
    limits.add(kA);
    limits.set_idle(kA, ConnectionId(i), kStart);
    CHECK(limits.take_call(kA, kStart));
    limits.take_messages(kA, 1000, kStart);
  }
  CHECK(limits.messages_allowed(kA, kStart) > 1'000'000);
  CHECK_FALSE(limits.idle_until(kA, kStart).has_value());
  CHECK_FALSE(limits.connection_to_shed(10).has_value());
  CHECK(top(limits, 1).front().exempt);
}

TEST_CASE("source limits: new calls are a burst and a rate, over all connections of a source",
          "[subscriber][limits]") {
  SourceLimits limits({.new_calls = {.rate = 10, .burst = 5}});
  for (int i = 0; i < 5; ++i) CHECK(limits.take_call(kA, kStart));
  CHECK_FALSE(limits.take_call(kA, kStart));
  CHECK(limits.take_call(kB, kStart));
  // A source that connects anew is the same source.
  limits.add(kA);
  limits.remove(kA, ConnectionId(1));
  CHECK_FALSE(limits.take_call(kA, kStart));
  CHECK(limits.take_call(kA, kStart + Milliseconds(100)));
  CHECK(limited(limits, Limit::kNewCalls) == 2);
}

TEST_CASE("source limits: a rate of 0 is no limit", "[subscriber][limits]") {
  SourceLimits limits({.new_calls = {.rate = 0}, .messages = {.rate = 0}});
  for (int i = 0; i < 10'000; ++i) REQUIRE(limits.take_call(kA, kStart));
  limits.take_messages(kA, 1'000'000, kStart);
  CHECK(limits.messages_allowed(kA, kStart) > 1'000'000);
}

TEST_CASE("source limits: above nine tenths the oldest idle connection of the idlest source goes",
          "[subscriber][limits]") {
  SourceLimits limits({.all_connections = 10});
  for (std::uint64_t i = 1; i <= 6; ++i) {
    limits.add(kA);
    limits.set_idle(kA, ConnectionId(i), kStart + Seconds(i % 3));  // 3 and 6 are the oldest
  }
  for (std::uint64_t i = 7; i <= 9; ++i) {
    limits.add(kB);
    limits.set_idle(kB, ConnectionId(i), kStart - Seconds(100));
  }
  CHECK_FALSE(limits.connection_to_shed(8).has_value());
  CHECK(limits.connection_to_shed(9) == ConnectionId(3));
  limits.remove(kA, ConnectionId(3));
  CHECK(limits.connection_to_shed(9) == ConnectionId(6));
  // A source with calls on its connections has nothing to give.
  for (std::uint64_t i = 1; i <= 6; ++i) limits.set_idle(kA, ConnectionId(i), std::nullopt);
  CHECK(limits.connection_to_shed(9) == ConnectionId(7));
  // One idle connection is nobody's flood.
  for (std::uint64_t i = 7; i <= 8; ++i) limits.remove(kB, ConnectionId(i));
  CHECK_FALSE(limits.connection_to_shed(10).has_value());
}

TEST_CASE("source limits: an idle connection has its time, and 0 is for ever",
          "[subscriber][limits]") {
  CHECK(SourceLimits({.idle_connection_time = Seconds(60)}).idle_until(kA, kStart) ==
        kStart + Seconds(60));
  CHECK_FALSE(SourceLimits({.idle_connection_time = Seconds(0)}).idle_until(kA, kStart));
}

TEST_CASE("source limits: sources without a connection are bounded, those with one stay",
          "[subscriber][limits]") {
  SourceLimits limits({.new_calls = {.rate = 1, .burst = 1}});
  limits.add(kA);
  CHECK(limits.take_call(kA, kStart));
  CHECK(limits.take_call(kB, kStart));
  const auto count = static_cast<std::uint32_t>(SourceLimits::kMaxResting);
  for (std::uint32_t i = 0; i < count; ++i)
    REQUIRE(limits.take_call(Ipv4Address(0x0a000000 + i), kStart));
  CHECK(limits.sources() == count + 1);
  CHECK(limits.forgotten() == 1);  // kB, which was used longest ago
  CHECK_FALSE(limits.take_call(kA, kStart));
  CHECK(limits.take_call(kB, kStart));
}

TEST_CASE("source limits: the sources that were held back most are shown first",
          "[subscriber][limits]") {
  SourceLimits limits({.new_calls = {.rate = 1, .burst = 1}});
  for (int i = 0; i < 3; ++i) limits.add(kA);
  limits.set_idle(kA, ConnectionId(1), kStart);
  for (int i = 0; i < 3; ++i) (void)limits.take_call(kB, kStart);
  const auto views = top(limits, 10);
  REQUIRE(views.size() == 2);
  CHECK(views[0].source == kB);
  CHECK(views[0].limited[static_cast<std::size_t>(Limit::kNewCalls)] == 2);
  CHECK(views[1].connections == 3);
  CHECK(views[1].idle_connections == 1);
  CHECK(top(limits, 1).size() == 1);

  // While it looks, the table of sources grows.
  for (std::uint32_t i = 0; i < 5000; ++i) limits.add(Ipv4Address(0x0a000000 + i));
  SourceLimits::Top growing(limits, 10);
  REQUIRE(growing.turn());
  for (std::uint32_t i = 5000; i < 50'000; ++i) limits.add(Ipv4Address(0x0a000000 + i));
  int turns = 1;
  for (; growing.turn(); ++turns) {
  }
  CHECK(turns > 40);
  REQUIRE(growing.views().size() == 10);
  CHECK(growing.views()[0].source == kB);
  CHECK(growing.views()[1].source == kA);
  std::set<Ipv4Address> shown;
  for (const auto& view : growing.views()) CHECK(shown.insert(view.source).second);
}

TEST_CASE("source limits: log lines of a source are bounded, and the next one tells how many",
          "[subscriber][limits]") {
  SourceLimits limits({});
  int lines = 0;
  for (int i = 0; i < 1000; ++i) lines += limits.log_line(kA, kStart).write ? 1 : 0;
  CHECK(lines == 20);
  CHECK(limits.log_line(kB, kStart).write);
  const auto next = limits.log_line(kA, kStart + Seconds(1));
  CHECK(next.write);
  CHECK(next.suppressed == 980);
}
