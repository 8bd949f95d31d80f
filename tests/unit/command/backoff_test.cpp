// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/command/restart_backoff.hpp"

using pns::command::RestartBackoff;
using namespace std::chrono_literals;

TEST_CASE("backoff: the first end costs no wait, short runs double it up to 5 s", "[command]") {
  RestartBackoff backoff;
  for (const auto wait : {0ms, 100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms})
    CHECK(backoff.on_end(10ms) == wait);
}

TEST_CASE("backoff: a run of 5 s forgets what was", "[command]") {
  RestartBackoff backoff;
  for (int i = 0; i < 4; ++i) (void)backoff.on_end(1s);
  CHECK(backoff.on_end(5s) == 0ms);
  CHECK(backoff.on_end(4999ms) == 0ms);
  CHECK(backoff.on_end(4999ms) == 100ms);
}
