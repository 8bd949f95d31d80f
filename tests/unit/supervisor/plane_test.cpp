// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/plane.hpp"

#include <catch2/catch.hpp>

using namespace pns::supervisor;

TEST_CASE("plane: how a process ended, in words", "[supervisor]") {
  CHECK(describe_wait_status(3 << 8) == "exit status 3");
  CHECK(describe_wait_status(9) == "signal 9 (Killed)");
}
