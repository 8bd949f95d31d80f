// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/supervisor/restart_backoff.hpp"

using pns::supervisor::RestartBackoff;
using namespace std::chrono_literals;

TEST_CASE("backoff: the first end costs no wait, short runs double it up to 5 s", "[supervisor]") {
  RestartBackoff backoff;
  for (const auto wait : {0ms, 100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms})
    CHECK(backoff.on_end(0ms) == wait);
}

TEST_CASE("backoff: a plane that served at all waits half a second at most", "[supervisor]") {
  RestartBackoff backoff;
  for (const auto wait : {0ms, 100ms, 200ms, 400ms, 500ms, 500ms})
    CHECK(backoff.on_end(10ms) == wait);
  RestartBackoff hopeless;
  for (int i = 0; i < 10; ++i) (void)hopeless.on_end(0ms);
  CHECK(hopeless.on_end(10ms) == 500ms);
}

TEST_CASE("backoff: a plane that served for a second is started again at once", "[supervisor]") {
  RestartBackoff backoff;
  for (int i = 0; i < 4; ++i) (void)backoff.on_end(0ms);
  CHECK(backoff.on_end(1s) == 0ms);
  CHECK(backoff.on_end(1s) == 0ms);
  CHECK(backoff.on_end(999ms) == 0ms);  // the first short one
  CHECK(backoff.on_end(999ms) == 100ms);
  CHECK(backoff.on_end(1001ms) == 0ms);
}

TEST_CASE("backoff: a successor goes on where it left off", "[supervisor]") {
  RestartBackoff backoff;
  for (int i = 0; i < 4; ++i) (void)backoff.on_end(0ms);
  RestartBackoff successor(backoff.next());
  CHECK(successor.on_end(0ms) == backoff.on_end(0ms));
  CHECK(RestartBackoff(1h).next() == RestartBackoff::kLongest);
  CHECK(RestartBackoff(-1ms).next() == 0ms);
}
