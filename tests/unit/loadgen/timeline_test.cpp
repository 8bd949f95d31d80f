// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/timeline.hpp"

#include <catch2/catch.hpp>
#include <sstream>
#include <string>

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};
const std::string kHead =
    "time_s,dialling,waiting_call,in_ppp,up,failed,lost_calls,retries,set_ups_done,setup_p99_ms,"
    "traffic_sent,traffic_received\n";

}  // namespace

TEST_CASE("timeline: traffic and set-up times are those of the step", "[loadgen]") {
  std::ostringstream out;
  Timeline timeline(out, kStart, Milliseconds(100));
  CHECK(out.str() == kHead);
  timeline.on_set_up(Milliseconds(7));
  timeline.on_set_up(Milliseconds(3));
  timeline.write({.dialling = 1,
                  .waiting_call = 2,
                  .in_ppp = 3,
                  .up = 4,
                  .failed = 5,
                  .lost_calls = 6,
                  .retries = 7,
                  .set_ups = 2,
                  .traffic_sent = 40,
                  .traffic_received = 30},
                 kStart + Milliseconds(100));
  timeline.write({.up = 4, .set_ups = 2, .traffic_sent = 100, .traffic_received = 95},
                 kStart + Milliseconds(204));
  CHECK(out.str() == kHead +
                         "0.100,1,2,3,4,5,6,7,2,7.000,40,30\n"
                         "0.204,0,0,0,4,0,0,0,2,,60,65\n");
}

TEST_CASE("timeline: a row is due once a step, however late the last one was", "[loadgen]") {
  std::ostringstream out;
  Timeline timeline(out, kStart, Milliseconds(100));
  CHECK_FALSE(timeline.due(kStart + Milliseconds(99)));
  CHECK(timeline.due(kStart + Milliseconds(100)));
  timeline.write({}, kStart + Milliseconds(340));
  CHECK_FALSE(timeline.due(kStart + Milliseconds(399)));
  CHECK(timeline.due(kStart + Milliseconds(400)));
}

TEST_CASE("times: percentiles are values that were added", "[loadgen]") {
  Times times;
  CHECK(times.percentile(0.5) == Duration{});
  for (int i = 100; i >= 1; --i) times.add(Milliseconds(i));
  times.add(std::nullopt);
  CHECK(times.count() == 100);
  CHECK(times.percentile(0) == Milliseconds(1));
  CHECK(times.percentile(0.5) == Milliseconds(51));
  CHECK(times.percentile(0.99) == Milliseconds(100));
  CHECK(times.percentile(1) == Milliseconds(100));
  Times more;
  more.add(Seconds(1));
  times += more;
  CHECK(times.percentile(1) == Seconds(1));
}
