// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/link_state.hpp"

#include <catch2/catch.hpp>

#include "dataplane/port/port.hpp"

using namespace pns;
using namespace pns::dataplane;

TEST_CASE("link state: told once, and again when it changes", "[dataplane][ports]") {
  Port port;
  port.role = contract::PortRole::kCore;
  port.shared_interface = "lo";
  LinkState link(port);
  CHECK(link.role() == contract::PortRole::kCore);
  const auto first = link.poll();
  REQUIRE(first);
  CHECK_FALSE(link.poll());
}

TEST_CASE("link state: a TAP of a lab, and an interface that is gone, tell nothing",
          "[dataplane][ports]") {
  Port port;
  CHECK_FALSE(LinkState(port).poll());
  port.shared_interface = "pns-nobody";
  CHECK_FALSE(LinkState(port).poll());
}

TEST_CASE("device faults: the first one counts", "[dataplane][ports]") {
  DeviceFaults faults;
  CHECK(faults.first().kind == DeviceFaults::Kind::kNone);
  faults.note(0, DeviceFaults::Kind::kReset);
  faults.note(7, DeviceFaults::Kind::kRemoved);
  CHECK(faults.first().kind == DeviceFaults::Kind::kReset);
  CHECK(faults.first().ethdev_id == 0);
}
