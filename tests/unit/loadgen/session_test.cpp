// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/session.hpp"

#include <catch2/catch.hpp>
#include <utility>
#include <vector>

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};

struct Caller {
  Caller()
      : session(options, options.profiles.front(), 7, 1, random, latencies,
                {.send_gre = [this](Bytes) { ++packets; },
                 .on_stage = [this](Stage, Stage to) { stages.push_back(to); },
                 .on_set_up = [] {}}) {}
  Options options;
  SystemRandom random;
  LatencyHistogram latencies;
  unsigned packets = 0;
  std::vector<Stage> stages;
  Session session;
};

}  // namespace

TEST_CASE("session: a second try keeps the time of the first, a call is waited for", "[loadgen]") {
  Caller caller;
  Session& session = caller.session;
  session.wait(kStart);
  session.on_dialling(kStart + Seconds(2));
  session.on_tcp_connected(kStart + Seconds(3));
  session.on_calling(kStart + Seconds(4));
  CHECK_FALSE(session.connected());
  session.on_call_connected(77, kStart + Seconds(9));
  CHECK(session.connected());
  CHECK(session.first_try() == kStart);
  CHECK(session.call_wait() == Seconds(5));
  CHECK_FALSE(session.admitted());  // not up
  CHECK(caller.stages ==
        std::vector{Stage::kWaiting, Stage::kConnect, Stage::kStart, Stage::kCall, Stage::kLcp});
}

TEST_CASE("session: a set-up that fails is not a lost call", "[loadgen]") {
  Caller caller;
  caller.session.on_dialling(kStart);
  caller.session.on_tick(kStart + Milliseconds(19'999));
  CHECK_FALSE(caller.session.over());
  caller.session.on_tick(kStart + Seconds(20));
  CHECK(caller.session.stage() == Stage::kFailed);
  CHECK(caller.session.failed_stage() == Stage::kConnect);
  CHECK_FALSE(caller.session.lost());
}

TEST_CASE("session: the dead send nothing", "[loadgen]") {
  Caller caller;
  Session& session = caller.session;
  session.on_dialling(kStart);
  session.on_tcp_connected(kStart);
  session.on_calling(kStart);
  session.on_call_connected(77, kStart);
  CHECK(caller.packets == 1);  // Configure-Request
  session.die();
  CHECK(session.stage() == Stage::kDone);
  session.on_tick(kStart + Seconds(60));
  CHECK(caller.packets == 1);
  CHECK_FALSE(session.lost());
}
