// SPDX-License-Identifier: BSD-3-Clause
//
// Octets of memory that one open call costs the control process, without its socket, which
// socket_memory_test measures: what goes with the Service of many calls, against that of fewer.
#include <catch2/catch.hpp>

#include "pns/log/log.hpp"
#include "tests/support/live_memory.hpp"
#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

// The memory of a Service with so many open calls.
LiveMemory memory_of_calls(std::size_t calls, bool one_connection) {
  FakeWorld world(
      [](config::Config& config) {
        config.pools["default"].ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a40fffe)}};
      },
      true, 4096);
  std::shared_ptr<FakeTransport> transport;
  for (std::uint32_t i = 0; i < calls; ++i) {
    if (!transport || !one_connection) transport = world.connect(Ipv4Address(0xcb000000 + i));
    world.dial(*transport, static_cast<std::uint16_t>(i + 1));
  }
  world.loop.run();
  REQUIRE(
      world.statistics.sessions_by_phase[static_cast<std::size_t>(model::LinkPhase::kOpen)].get() ==
      static_cast<std::int64_t>(calls));
  const LiveMemory before = live_memory;
  world.service.reset();
  return before - live_memory;
}

}  // namespace

// The bounds are what was measured, rounded up to a step of malloc.
TEST_CASE("call memory: an open call holds little", "[subscriber]") {
  log::start(log::Level::kError, log::Format::kText, "test");
  const bool one_connection = GENERATE(false, true);
  constexpr std::size_t kFew = 300;
  constexpr std::size_t kMany = 900;
  const LiveMemory few = memory_of_calls(kFew, one_connection);
  const LiveMemory many = memory_of_calls(kMany, one_connection);
  const LiveMemory more = many - few;
  const std::size_t each = more.octets / (kMany - kFew);
  INFO(each << " octets a call; blocks by size: " << more.describe(kMany - kFew));
  CHECK(each <= (one_connection ? 1824u : 2640u));
  CHECK(each > 0);
}
