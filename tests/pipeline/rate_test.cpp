// SPDX-License-Identifier: BSD-3-Clause
//
// Rates of sessions that delay packets (docs/rates-and-filters.md), both families and both
// directions.
#include <catch2/catch.hpp>

#include "dataplane/packet/departure_wheel.hpp"
#include "dataplane/session/session_commands.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

using Counts = std::map<std::string, std::uint64_t>;
constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kSlot = dataplane::DepartureWheel::kSlotNs;
constexpr std::size_t kOctets = 1'000;  // of each packet of IP

WorldOptions shaping(std::uint64_t delay_ms = 50) {
  WorldOptions options;
  options.rates = {.up = {true, delay_ms * kMs},
                   .down = {true, delay_ms * kMs},
                   .packets_in_all = 256,
                   .max_session_packets = 64};
  return options;
}

// 8 Mbit/s: a packet each millisecond. One packet at once.
contract::SessionService one_in_a_millisecond() {
  const contract::SessionRate rate{8'000'000, kOctets};
  return {.rates = {rate, rate}, .filters = {}};
}

Octets down(const Subscriber& s, unsigned id) {
  return from_core(
      ip({.source = kServer, .destination = s.address, .id = id}, pattern(kOctets - 20)));
}
Octets up(const Subscriber& s, std::uint32_t sequence) {
  return from_peer(s, sequence,
                   ppp("0021", ip({.source = s.address, .destination = kServer, .id = sequence},
                                  pattern(kOctets - 20))));
}

// Identifications of the inner packets that have left to the core.
std::vector<unsigned> ids_up(World& world) {
  std::vector<unsigned> out;
  for (const Octets& frame : world.sent(kCore)) out.push_back(get16(frame, 14 + 4));
  return out;
}

struct ShapedWorld : World {
  Subscriber s;
  explicit ShapedWorld(WorldOptions options = shaping()) : World(std::move(options)), s(add(2)) {
    dataplane::set_service(record(s), one_in_a_millisecond());
    (void)counted();
  }
  std::size_t sent_down() { return sent(kAccess).size(); }
  void pass(std::uint64_t ns) {
    advance(ns);
    run();
  }
};

}  // namespace

TEST_CASE("shaping: packets over the rate leave at the rate, in order", "[pipeline][rate]") {
  ShapedWorld world;
  SECTION("downstream") {
    for (unsigned id = 0; id < 20; ++id) world.receive(kCore, down(world.s, id));
    world.run();
    CHECK(world.sent_down() == 1);
    std::size_t all = 1;
    for (unsigned ms = 1; ms < 20; ++ms) {
      world.pass(kMs);
      all += world.sent_down();
      // A packet leaves at the end of a slot of the wheel.
      CHECK(all <= ms + 1);
      CHECK(all + 1 >= ms);
    }
    world.pass(2 * kMs);
    CHECK(all + world.sent_down() == 20);
    CHECK(world.counted().at("shaped") == 19);
  }
  SECTION("upstream") {
    for (std::uint32_t n = 0; n < 20; ++n) {
      world.record(world.s).upstream.unacked_packets = 0;
      world.receive(kAccess, up(world.s, n));
    }
    world.run();
    std::vector<unsigned> all = ids_up(world);
    CHECK(all.size() == 1);
    for (unsigned ms = 1; ms < 22; ++ms) {
      world.pass(kMs);
      for (const unsigned id : ids_up(world)) all.push_back(id);
      CHECK(all.size() <= ms + 1);
    }
    REQUIRE(all.size() == 20);
    for (unsigned n = 0; n < 20; ++n) CHECK(all[n] == n);
  }
  CHECK(world.drops().empty());
  CHECK(world.worker().packets_waiting() == 0);
}

TEST_CASE("shaping: numbers and counts are given when a packet leaves", "[pipeline][rate]") {
  ShapedWorld world;
  world.arm(world.s);
  ArmedPeer peer;
  for (unsigned id = 0; id < 10; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  CHECK(world.record(world.s).downstream.next_sequence == 1);
  for (unsigned ms = 0; ms < 12; ++ms) world.pass(kMs);
  const auto frames = world.sent(kAccess);
  REQUIRE(frames.size() == 10);
  for (const Octets& frame : frames) {
    const std::string opened = peer.open(frame);
    CHECK(opened.starts_with("0021"));
  }
}

TEST_CASE("shaping: what would wait too long is dropped and costs nothing", "[pipeline][rate]") {
  ShapedWorld world(shaping(10));
  for (unsigned id = 0; id < 30; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  // One at once, ten that wait 1 to 10 ms.
  CHECK(world.drops() == Counts{{"shaper_delay", 19}});
  CHECK(world.record(world.s).downstream.drops.get() == 19);
  for (unsigned ms = 0; ms < 12; ++ms) world.pass(kMs);
  CHECK(world.sent_down() == 11);
  // The dropped ones were not paid for.
  world.receive(kCore, down(world.s, 30));
  world.run();
  CHECK(world.sent_down() == 1);
}

TEST_CASE("shaping: a packet behind others that wait does not overtake them", "[pipeline][rate]") {
  ShapedWorld world;
  for (std::uint32_t n = 0; n < 2; ++n) world.receive(kAccess, up(world.s, n));
  world.run();
  CHECK(ids_up(world) == std::vector<unsigned>{0});
  // Its bucket admits the third now, and the second still waits for the end of its slot.
  const std::uint64_t now_ns = world.now_ns();
  const std::uint64_t due_ns = now_ns + kMs;
  REQUIRE(due_ns % kSlot != 0);
  world.advance(due_ns - now_ns);
  dataplane::set_service(world.record(world.s),
                         {.rates = {{8'000'000'000, 1'000'000}, {}}, .filters = {}});
  world.record(world.s).upstream.rate_spent_ns = 0;
  world.receive(kAccess, up(world.s, 2));
  world.run();
  CHECK(ids_up(world).empty());
  world.pass(2 * kSlot);
  CHECK(ids_up(world) == std::vector<unsigned>{1, 2});
}

TEST_CASE("shaping: packets that wait are bounded, of a session and in all", "[pipeline][rate]") {
  WorldOptions options = shaping(500);
  options.rates.packets_in_all = 100;
  ShapedWorld world(options);
  const Subscriber other = world.add(3);
  dataplane::set_service(world.record(other), one_in_a_millisecond());
  (void)world.counted();
  for (unsigned id = 0; id < 80; ++id) {
    world.receive(kCore, down(world.s, id));
    world.run();
  }
  CHECK(world.worker().packets_waiting() == 64);
  CHECK(world.drops() == Counts{{"shaper_full", 15}});
  for (unsigned id = 0; id < 80; ++id) {
    world.receive(kCore, down(other, id));
    world.run();
  }
  CHECK(world.worker().packets_waiting() == 100);
  CHECK(world.drops() == Counts{{"shaper_full", 43}});
  for (unsigned ms = 0; ms < 70; ++ms) world.pass(kMs);
  CHECK(world.sent_down() == 102);
  CHECK(world.worker().packets_waiting() == 0);
  // Room again.
  for (unsigned id = 0; id < 3; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  world.pass(5 * kMs);
  CHECK(world.sent_down() == 3);
}

TEST_CASE("shaping: packets of a session that ended, or whose protocol closed, go nowhere",
          "[pipeline][rate]") {
  ShapedWorld world;
  for (unsigned id = 0; id < 5; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  CHECK(world.sent_down() == 1);
  SECTION("closed") {
    dataplane::close_ipv4(world.record(world.s));
    world.pass(10 * kMs);
    CHECK(world.drops() == Counts{{"network_not_open", 4}});
  }
  SECTION("ended, and another session has its place") {
    const auto token = world.table().unlink(world.s.slot());
    world.run();
    REQUIRE(world.table().quiescent(token));
    world.table().release(world.s.slot());
    const Subscriber next = world.add(2);
    dataplane::set_service(world.record(next), one_in_a_millisecond());
    world.pass(10 * kMs);
    CHECK(world.drops() == Counts{{"no_session", 4}});
    for (unsigned id = 0; id < 3; ++id) world.receive(kCore, down(next, id));
    world.run();
    world.pass(5 * kMs);
    CHECK(world.sent_down() == 3);
  }
  CHECK(world.worker().packets_waiting() == 0);
}

TEST_CASE("shaping: a dataplane that starts forgets what waited in the one before",
          "[pipeline][rate]") {
  ShapedWorld world;
  for (unsigned id = 0; id < 5; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  CHECK(world.sent_down() == 1);
  world.restart(1);
  // Their time is paid for.
  world.pass(5 * kMs);
  world.receive(kCore, down(world.s, 9));
  world.run();
  CHECK(world.sent_down() == 1);
}

TEST_CASE("shaping: a rate that a packet exceeds by itself still lets one wait",
          "[pipeline][rate]") {
  ShapedWorld world(shaping(10));
  const contract::SessionRate slow{80'000, 1};  // 100 ms a packet
  dataplane::set_service(world.record(world.s), {.rates = {slow, slow}, .filters = {}});
  for (unsigned id = 0; id < 4; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  CHECK(world.sent_down() == 1);
  CHECK(world.drops() == Counts{{"shaper_delay", 2}});
  world.pass(99 * kMs);
  CHECK(world.sent_down() == 0);
  world.pass(2 * kMs);
  CHECK(world.sent_down() == 1);
}

TEST_CASE("shaping: fragments of a packet leave with it, and IPv6 waits like IPv4",
          "[pipeline][rate]") {
  ShapedWorld world;
  world.open_ipv6(world.s);
  dataplane::set_service(world.record(world.s), one_in_a_millisecond());
  world.record(world.s).inner_mtu = 600;
  for (unsigned id = 0; id < 2; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  CHECK(world.sent_down() == 2);  // the fragments of the first
  world.pass(2 * kMs);
  CHECK(world.sent_down() == 2);
  CHECK(world.counted().at("shaped") == 2);
  for (unsigned n = 0; n < 3; ++n)
    world.receive(kCore, from_core6(ip6({.source = kServer6, .destination = world.s.address6},
                                        pattern(kOctets - 40))));
  world.run();
  CHECK(world.sent_down() == 1);
  world.pass(3 * kMs);
  CHECK(world.sent_down() == 2);
  CHECK(world.drops().empty());
}

TEST_CASE("shaping: the worker sleeps until a packet may leave", "[pipeline][rate]") {
  ShapedWorld world;
  CHECK(world.worker().next_deadline_ns(world.now_ns()) == UINT64_MAX);
  for (unsigned id = 0; id < 2; ++id) world.receive(kCore, down(world.s, id));
  world.run();
  const std::uint64_t sleep_ns = world.worker().next_deadline_ns(world.now_ns());
  CHECK(sleep_ns >= kMs);
  CHECK(sleep_ns <= kMs + kSlot);
  world.pass(sleep_ns);
  CHECK(world.sent_down() == 2);
}
