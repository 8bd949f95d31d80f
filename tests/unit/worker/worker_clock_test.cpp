// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/worker_clock.hpp"

#include <catch2/catch.hpp>

using namespace pns::dataplane;

namespace {

constexpr std::uint64_t kStartNs = 5'000'000'000;
constexpr std::uint64_t kStartCycles = 1'000;
constexpr std::uint64_t kCyclesPerMs = 2'000'000;  // 2 GHz

}  // namespace

TEST_CASE("worker clock: the TSC carries a reading on for a millisecond", "[worker]") {
  WorkerClock clock(0.5, kStartCycles, kStartNs);
  CHECK(clock.now_ns(kStartCycles) == kStartNs);
  CHECK(clock.now_ns(kStartCycles + 200) == kStartNs + 100);
  CHECK_FALSE(clock.wants_reading(kStartCycles + kCyclesPerMs));
  CHECK(clock.wants_reading(kStartCycles + kCyclesPerMs + 1));
  clock.set_reading(kStartCycles + kCyclesPerMs + 1, kStartNs + 1'000'500);
  CHECK_FALSE(clock.wants_reading(kStartCycles + kCyclesPerMs + 2));
  CHECK(clock.now_ns(kStartCycles + kCyclesPerMs + 1) == kStartNs + 1'000'500);
}

// rte_get_tsc_hz() may be off by 0.2 %, 2 µs in a millisecond, in either direction.
TEST_CASE("worker clock: a reading behind the time carried on does not step back", "[worker]") {
  WorkerClock clock(0.5 * 1.002, kStartCycles, kStartNs);
  std::uint64_t cycles = kStartCycles;
  std::uint64_t real_ns = kStartNs;
  std::uint64_t before_ns = clock.now_ns(cycles);
  bool stood_still = false;
  for (unsigned poll = 0; poll < 10'000; ++poll) {
    cycles += 2'000;
    real_ns += 1'000;
    if (clock.wants_reading(cycles)) clock.set_reading(cycles, real_ns);
    const std::uint64_t now_ns = clock.now_ns(cycles);
    REQUIRE(now_ns >= before_ns);
    stood_still |= now_ns == before_ns;
    REQUIRE(now_ns >= real_ns);
    REQUIRE(now_ns <= real_ns + 3'000);
    before_ns = now_ns;
  }
  CHECK(stood_still);
}

TEST_CASE("worker clock: a slow TSC jumps forward at a reading", "[worker]") {
  WorkerClock clock(0.5 * 0.998, kStartCycles, kStartNs);
  (void)clock.now_ns(kStartCycles + kCyclesPerMs);
  clock.set_reading(kStartCycles + kCyclesPerMs + 1, kStartNs + 1'000'000);
  CHECK(clock.now_ns(kStartCycles + kCyclesPerMs + 1) == kStartNs + 1'000'000);
}
