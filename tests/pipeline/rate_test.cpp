// SPDX-License-Identifier: BSD-3-Clause
//
// Rates of sessions that delay packets (docs/rates-and-filters.md), both families and both
// directions.
#include <catch2/catch.hpp>

#include "dataplane/filter/filter_numbers.hpp"
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

TEST_CASE("rate groups: sessions of a group share its rate, on any worker", "[pipeline][rate]") {
  // Group 1 has 8 Mbit/s each way, and 10 packets at once: 1,000 packets of 1,000 octets a second.
  const contract::OctetRate limit(8'000'000, 10 * kOctets);
  WorldOptions options;
  options.workers = 2;
  options.rate_groups = {{}, {limit, limit}};
  World world(options);
  const Subscriber first = world.add(2);
  const Subscriber second = world.add(3);  // the second worker's
  const Subscriber free = world.add(4);
  contract::SessionService service;
  service.rate_group = 1;
  SECTION("beside no rate of their own") {}
  SECTION("beside a rate of their own that is higher") {
    service.rates = {{80'000'000, 100'000}, {80'000'000, 100'000}};
  }
  for (const Subscriber* s : {&first, &second}) dataplane::set_service(world.record(*s), service);
  (void)world.counted();
  for (unsigned ms = 0; ms < 200; ++ms) {
    for (const Subscriber* s : {&first, &second, &free}) {
      world.receive(kCore, down(*s, ms));
      world.record(*s).upstream.unacked_packets = 0;
      world.receive(kAccess, up(*s, ms));
    }
    world.run();
    world.advance(kMs);
    (void)world.sent(kAccess);
    (void)world.sent(kCore);
  }
  const auto packets = [&](const Subscriber& s) {
    return world.record(s).downstream.packets.get();
  };
  CHECK(packets(free) == 200);
  // One of the two in each millisecond, and the burst.
  CHECK(packets(first) + packets(second) >= 200);
  CHECK(packets(first) + packets(second) <= 200 + 10 + 3);
  const auto counted = world.counted();
  CHECK(counted.at("drop group_rate_limited") ==
        2 * 400 + 400 - counted.at("downstream_packets") - counted.at("upstream_packets"));
  CHECK(counted.at("upstream_packets") >= 400);
  CHECK(counted.at("upstream_packets") <= 400 + 13);
}

TEST_CASE(
    "rate groups: what the group's rate delays keeps its order, and a session's rate is not "
    "spent for what its group refuses",
    "[pipeline][rate]") {
  const contract::OctetRate limit(8'000'000, kOctets);
  WorldOptions options = shaping(5);
  options.rate_groups = {{}, {limit, limit}};
  World world(options);
  const Subscriber s = world.add(2);
  contract::SessionService service;
  service.rates = {{16'000'000, kOctets}, {16'000'000, kOctets}};
  service.rate_group = 1;
  dataplane::set_service(world.record(s), service);
  (void)world.counted();
  for (std::uint32_t n = 0; n < 20; ++n) {
    world.record(s).upstream.unacked_packets = 0;
    world.receive(kAccess, up(s, n));
  }
  world.run();
  // One at once, and those that wait 5 ms at most.
  const std::uint64_t refused = world.drops().at("shaper_delay");
  CHECK(refused >= 13);
  CHECK(refused <= 14);
  std::vector<unsigned> all = ids_up(world);
  for (unsigned ms = 0; ms < 8; ++ms) {
    world.advance(kMs);
    world.run();
    for (const unsigned id : ids_up(world)) all.push_back(id);
  }
  REQUIRE(all.size() == 20 - refused);
  for (unsigned n = 0; n < all.size(); ++n) CHECK(all[n] == n);
  CHECK(world.record(s).upstream.rate_spent_ns <= world.now_ns());
}

TEST_CASE("rate groups: a session whose group is gone has no limit of it", "[pipeline][rate]") {
  World world;
  const Subscriber s = world.add(2);
  contract::SessionService service;
  service.rate_group = 5;
  dataplane::set_service(world.record(s), service);
  for (unsigned id = 0; id < 20; ++id) world.receive(kCore, down(s, id));
  world.run();
  CHECK(world.sent(kAccess).size() == 20);
}

TEST_CASE("rate groups: a name keeps its number while a session has it", "[dataplane][rate]") {
  const UniqueFd fd = contract::SessionMemory::create(4, false, 1).value();
  auto memory = contract::SessionMemory::attach(fd.get()).value();
  std::map<std::string, config::RateGroup> names = {{"a", {}}, {"b", {}}};
  const auto first = dataplane::assign_group_numbers(memory, names).value();
  REQUIRE(first.by_name.size() == 2);
  auto& session = memory.sessions()[1];
  session.state = contract::SlotState::kInstalled;
  contract::SessionService service;
  service.rate_group = first.by_name.at("b");
  dataplane::set_service(session, service);
  names = {{"c", {}}};
  const auto second = dataplane::assign_group_numbers(memory, names).value();
  CHECK(second.orphans == 1);
  CHECK(second.by_name.at("c") != first.by_name.at("b"));
  CHECK(contract::find_rate_group(memory.header(), "b") == first.by_name.at("b"));
  CHECK_FALSE(contract::find_rate_group(memory.header(), "a"));
  dataplane::set_service(session, {});
  CHECK(dataplane::assign_group_numbers(memory, names).value().orphans == 0);
  CHECK_FALSE(contract::find_rate_group(memory.header(), "b"));
}
