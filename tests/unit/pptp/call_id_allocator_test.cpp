// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/call_id_allocator.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_random.hpp"

using namespace pns;
using namespace pns::pptp;
using pns::test::FakeClock;
using pns::test::FakeRandom;

TEST_CASE("call ids: all 65,535 are handed out, each once, and never 0",
          "[pptp][rfc2637-3.2.2][conformance-24]") {
  CallIdAllocator ids;
  FakeRandom random;
  FakeClock clock;
  std::set<std::uint16_t> seen;
  for (int i = 0; i < 65535; ++i) {
    const auto id = ids.allocate(random, clock.now());
    REQUIRE(id.has_value());
    REQUIRE(id->value != 0);
    REQUIRE(seen.insert(id->value).second);
  }
  CHECK_FALSE(ids.allocate(random, clock.now()).has_value());
  CHECK(ids.in_use() == 65535);
  CHECK(ids.available(clock.now()) == 0);
}

TEST_CASE("call ids: a released id rests for the quarantine", "[pptp][wire-facts-29]") {
  CallIdAllocator ids(Seconds(60));
  FakeRandom random;
  FakeClock clock;
  REQUIRE(ids.claim(OurCallId(77)));
  REQUIRE(ids.claim(OurCallId(78)));
  ids.release(OurCallId(77), true, clock.now());
  ids.release(OurCallId(77), true, clock.now());  // twice is once
  ids.release(OurCallId(0), true, clock.now());
  CHECK(ids.in_use() == 1);
  CHECK(ids.available(clock.now()) == 65'533);
  clock.advance(Seconds(60) - Duration(1));
  CHECK(ids.available(clock.now()) == 65'533);
  clock.advance(Duration(1));
  CHECK(ids.available(clock.now()) == 65'534);
  for (int i = 0; i < 65'534; ++i) REQUIRE(ids.allocate(random, clock.now()) != OurCallId(78));
  CHECK_FALSE(ids.allocate(random, clock.now()).has_value());
}

TEST_CASE("call ids: an id that never carried GRE rests for a second", "[pptp][conformance-24]") {
  CallIdAllocator ids;
  FakeRandom random;
  const TimePoint now{Seconds(1000)};
  REQUIRE(ids.claim(OurCallId(7)));
  REQUIRE(ids.claim(OurCallId(8)));
  ids.release(OurCallId(7), true, now);
  ids.release(OurCallId(8), false, now);
  CHECK(ids.resting(now).front().id == OurCallId(8));
  CHECK(ids.resting_count(now) == 2);
  CHECK(ids.resting_count(now + Seconds(1)) == 1);  // also before anything has ended its quarantine
  CHECK(ids.resting_count(now + Seconds(60) - Duration(1)) == 1);
  CHECK(ids.resting_count(now + Seconds(60)) == 0);
  CHECK(ids.available(now + Seconds(1) - Duration(1)) == 65'533);
  CHECK(ids.available(now + Seconds(1)) == 65'534);
  CHECK(ids.available(now + Seconds(60)) == 65'535);
}

TEST_CASE("call ids: a hundred thousand calls without GRE within a minute do not use them up",
          "[pptp][conformance-24]") {
  CallIdAllocator ids;
  FakeRandom random;
  TimePoint now{Seconds(1000)};
  for (int i = 0; i < 100'000; ++i) {
    const auto id = ids.allocate(random, now);
    REQUIRE(id.has_value());
    ids.release(*id, false, now);
    now += Duration(Milliseconds(1)) / 2;
  }
  CHECK(ids.available(now) > 60'000);
}

TEST_CASE("call ids: below a quarter free, an id that carried GRE rests for ten seconds",
          "[pptp][conformance-24]") {
  CallIdAllocator ids;
  FakeRandom random;
  const TimePoint now{Seconds(1000)};
  std::vector<OurCallId> taken;
  while (ids.available(now) > CallIdAllocator::kFewFree)
    taken.push_back(ids.allocate(random, now).value());
  for (std::size_t i = 0; i < 100; ++i) ids.release(taken[i], true, now);
  CHECK(ids.available(now + Seconds(10)) == CallIdAllocator::kFewFree);  // a quarter is free
  REQUIRE(ids.allocate(random, now).has_value());
  CHECK(ids.available(now + Seconds(10) - Duration(1)) == CallIdAllocator::kFewFree - 1);
  CHECK(ids.available(now + Seconds(10)) == CallIdAllocator::kFewFree + 99);
}

TEST_CASE("call ids: only wanted steering buckets are used", "[pptp]") {
  CallIdAllocator ids;
  FakeRandom random;
  FakeClock clock;
  BucketMask buckets;
  buckets[3] = buckets[200] = true;
  for (int i = 0; i < 512; ++i) {
    const auto id = ids.allocate(buckets, random, clock.now());
    REQUIRE(id.has_value());
    CHECK((steering_bucket(*id) == 3 || steering_bucket(*id) == 200));
  }
  CHECK_FALSE(ids.allocate(buckets, random, clock.now()).has_value());
  CHECK_FALSE(ids.allocate(BucketMask(), random, clock.now()).has_value());
  CHECK(ids.allocate(random, clock.now()).has_value());
}

TEST_CASE("call ids: bucket 0 has one id less, for 0 is none", "[pptp]") {
  CallIdAllocator ids;
  FakeRandom random;
  FakeClock clock;
  BucketMask zero;
  zero[0] = true;
  int count = 0;
  while (ids.allocate(zero, random, clock.now())) ++count;
  CHECK(count == 255);
}

TEST_CASE("call ids: a claimed id is not handed out", "[pptp]") {
  CallIdAllocator ids;
  FakeRandom random;
  FakeClock clock;
  CHECK_FALSE(ids.claim(OurCallId(0)));
  CHECK(ids.claim(OurCallId(1234)));
  CHECK_FALSE(ids.claim(OurCallId(1234)));
  for (int i = 0; i < 65534; ++i) REQUIRE(ids.allocate(random, clock.now()) != OurCallId(1234));
  CHECK_FALSE(ids.allocate(random, clock.now()).has_value());
}

TEST_CASE("call ids: an id claimed out of quarantine starts a new rest when it is released",
          "[pptp]") {
  CallIdAllocator ids(Seconds(60));
  FakeClock clock;
  REQUIRE(ids.claim(OurCallId(5)));
  ids.release(OurCallId(5), true, clock.now());
  clock.advance(Seconds(50));
  CHECK(ids.claim(OurCallId(5)));
  ids.release(OurCallId(5), true, clock.now());
  clock.advance(Seconds(20));
  CHECK(ids.available(clock.now()) == 65'534);
  clock.advance(Seconds(40));
  CHECK(ids.available(clock.now()) == 65'535);
}

TEST_CASE("call ids: an id that an earlier process released rests until its time", "[pptp]") {
  CallIdAllocator ids(Seconds(60));
  FakeRandom random;
  const TimePoint now{Seconds(1000)};
  REQUIRE(ids.claim(OurCallId(7)));
  ids.rest(OurCallId(7), now + Seconds(5));  // in use: stays so
  ids.rest(OurCallId(0), now + Seconds(5));
  ids.rest(OurCallId(8), now + Seconds(10));
  ids.rest(OurCallId(8), now + Seconds(20));  // known already
  CHECK(ids.in_use() == 1);
  CHECK(ids.available(now) == 65'533);
  ids.release(OurCallId(7), true, now);
  CHECK(ids.available(now + Seconds(10)) == 65'534);
  CHECK(ids.available(now + Seconds(59)) == 65'534);
  CHECK(ids.available(now + Seconds(60)) == 65'535);
}

TEST_CASE("call ids: which rest, and until when, can be told to a successor", "[pptp]") {
  CallIdAllocator ids(Seconds(60));
  const TimePoint now{Seconds(1000)};
  ids.rest(OurCallId(9), now + Seconds(5));
  REQUIRE(ids.claim(OurCallId(7)));
  REQUIRE(ids.claim(OurCallId(8)));
  ids.release(OurCallId(7), true, now);
  const auto both = ids.resting(now);
  REQUIRE(both.size() == 2);
  CHECK(both[0].id == OurCallId(9));
  CHECK(both[1].id == OurCallId(7));
  CHECK(both[1].until == now + Seconds(60));
  CHECK(ids.resting(now + Seconds(5)).size() == 1);
  REQUIRE(ids.claim(OurCallId(7)));
  CHECK(ids.resting(now + Seconds(5)).empty());
}

TEST_CASE("call ids: the draw is spread over the free set", "[pptp]") {
  CallIdAllocator ids;
  FakeRandom random;
  FakeClock clock;
  std::array<int, 16> by_high{};
  std::array<int, 16> by_low{};
  int successors = 0;
  std::uint16_t previous = 0;
  for (int i = 0; i < 4096; ++i) {
    const auto id = ids.allocate(random, clock.now());
    REQUIRE(id.has_value());
    ++by_high[id->value >> 12];
    ++by_low[id->value & 15];
    if (id->value == previous + 1) ++successors;
    previous = id->value;
  }
  for (int i = 0; i < 16; ++i) {  // 256 expected, six standard deviations are 93
    CHECK(std::abs(by_high[static_cast<std::size_t>(i)] - 256) < 93);
    CHECK(std::abs(by_low[static_cast<std::size_t>(i)] - 256) < 93);
  }
  CHECK(successors < 10);
}
