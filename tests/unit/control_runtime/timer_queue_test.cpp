// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/timer_queue.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <vector>

using namespace pns;
using control::Timer;
using control::TimerQueue;

namespace {

constexpr TimePoint at(int second) { return TimePoint(Seconds(second)); }

}  // namespace

TEST_CASE("timer queue: timers run in the order of their deadlines, each once", "[timer]") {
  TimerQueue queue;
  std::vector<int> ran;
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<int> seconds(500);
  std::mt19937 random(7);
  for (int& second : seconds) second = static_cast<int>(random() % 1000);
  for (const int second : seconds) {
    timers.push_back(std::make_unique<Timer>(queue, [&ran, second] { ran.push_back(second); }));
    timers.back()->arm(at(second));
  }
  // A third is cancelled, a third is moved.
  std::vector<int> expected;
  for (std::size_t i = 0; i < timers.size(); ++i) {
    if (i % 3 == 0) timers[i]->cancel();
    if (i % 3 == 1) timers[i]->arm(at(seconds[i] + 1));
    if (i % 3 != 0) expected.push_back(seconds[i]);
  }
  CHECK(queue.run_due(at(2000), 10'000) == expected.size());
  CHECK(ran.size() == expected.size());
  CHECK_FALSE(queue.next());
  CHECK(std::ranges::is_permutation(ran, expected));
}

TEST_CASE("timer queue: no timer runs before its deadline, and the earliest is known", "[timer]") {
  TimerQueue queue;
  std::vector<TimePoint> earlier;
  queue.on_earlier([&](TimePoint time) { earlier.push_back(time); });
  int ran = 0;
  Timer late(queue, [&] { ++ran; });
  Timer soon(queue, [&] { ++ran; });
  late.arm(at(20));
  soon.arm(at(10));
  CHECK(earlier == std::vector{at(20), at(10)});
  CHECK(queue.run_due(at(9), 10) == 0);
  CHECK(queue.run_due(at(10), 10) == 1);
  CHECK_FALSE(soon.is_armed());
  CHECK(queue.next() == at(20));
}

TEST_CASE("timer queue: a callback may arm, cancel and destroy timers, its own included",
          "[timer]") {
  TimerQueue queue;
  int ran = 0;
  auto other = std::make_unique<Timer>(queue, [&] { FAIL("it was destroyed"); });
  std::unique_ptr<Timer> own;
  own = std::make_unique<Timer>(queue, [&] {
    if (++ran < 3) return own->arm(at(1));
    other.reset();
    own.reset();
  });
  other->arm(at(2));
  own->arm(at(1));
  CHECK(queue.run_due(at(5), 100) == 3);
  CHECK(ran == 3);
  CHECK_FALSE(queue.next());
}
