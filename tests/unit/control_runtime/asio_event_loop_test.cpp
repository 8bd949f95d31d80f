// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/asio_event_loop.hpp"

#include <time.h>

#include <asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

#include "controlplane/model/statistics.hpp"

using namespace pns;
using control::AsioEventLoop;
using control::Timer;
using std::chrono::nanoseconds;

namespace {

// Computes for this long.
void work(Duration duration) {
  const auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return Seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
  };
  for (const auto until = now() + duration; now() < until;) {
  }
}

}  // namespace

TEST_CASE("event loop: each turn is told with its CPU time, and sleep is no part of it", "[loop]") {
  asio::io_context context;
  AsioEventLoop loop(context);
  std::vector<Duration> turns;
  loop.post([] { work(Milliseconds(3)); });
  loop.post([] {});
  // It sleeps until then.
  Timer timer(loop.timers(), [&] { work(Milliseconds(1)); });
  timer.arm(loop.now() + Milliseconds(60));
  loop.run([&](Duration took) { turns.push_back(took); });
  REQUIRE(turns.size() == 3);
  CHECK(turns[0] >= Milliseconds(3));
  CHECK(turns[0] < Milliseconds(60));
  CHECK(turns[1] < Milliseconds(3));
  CHECK(turns[2] >= Milliseconds(1));
  CHECK(turns[2] < Milliseconds(60));
}

TEST_CASE("statistics: the longest turn is of this window and the one before it", "[loop]") {
  model::TurnTimes turns;
  const auto add = [&](int ms) { turns.add(std::int64_t{ms} * 1'000'000); };
  add(4);
  add(3);
  CHECK(turns.max_ns.get() == 4'000'000);
  turns.begin_window();
  add(2);
  CHECK(turns.max_ns.get() == 4'000'000);
  turns.begin_window();
  CHECK(turns.max_ns.get() == 2'000'000);
  turns.begin_window();
  CHECK(turns.max_ns.get() == 0);
  add(1);
  CHECK(turns.max_ns.get() == 1'000'000);
  CHECK(turns.count.get() == 4);
  CHECK(turns.sum_ns.get() == 10'000'000);
  const auto bucket = [&](std::int64_t bound_us) {
    const auto at =
        std::ranges::find(model::kTurnBoundsUs, bound_us) - model::kTurnBoundsUs.begin();
    return turns.buckets.at(static_cast<std::size_t>(at)).get();
  };
  CHECK(bucket(1000) == 1);
  CHECK(bucket(2000) == 1);
  CHECK(bucket(5000) == 2);
}
