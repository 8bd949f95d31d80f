// SPDX-License-Identifier: BSD-3-Clause
//
// Services of the server's own host: what subscribers send to our addresses, and the answers.
#include <catch2/catch.hpp>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

using Counts = std::map<std::string, std::uint64_t>;

constexpr std::string_view kOurs = "10.0.0.1";
constexpr std::string_view kGateway = "10.65.0.1";  // an address of the host, too
constexpr std::size_t kInnerAt = 14 + 20 + 16 + 4;  // with an acknowledgement

Octets question(const Subscriber& s, std::string_view destination = kOurs, unsigned ttl = 64,
                unsigned flags_offset = 0) {
  return ip(
      {.source = s.address, .destination = destination, .ttl = ttl, .flags_offset = flags_offset},
      pattern(24));
}

void send(World& world, const Subscriber& s, std::uint32_t sequence, const Octets& inner,
          std::string_view protocol = "0021") {
  world.receive(kAccess, from_peer(s, sequence, ppp(protocol, inner)));
  world.run();
}

Octets inner_of(const Octets& frame) {
  return {frame.begin() + static_cast<long>(kInnerAt), frame.end()};
}

}  // namespace

TEST_CASE("services: a subscriber reaches this host, TTL 1 and all, and is answered",
          "[pipeline][services]") {
  for (const bool twins : {true, false}) {
    World world({.twins = twins});
    const Subscriber s = world.add(2);
    world.record(s).gateway = Ipv4Address(address(kGateway));
    std::uint32_t sequence = 0;
    for (const std::string_view ours : {kOurs, kGateway}) {
      INFO(ours);
      send(world, s, sequence, question(s, ours, 1));
      const auto asked = world.to_services();
      REQUIRE(asked.size() == 1);
      CHECK(hex(asked[0]) == hex(question(s, ours, 1)));
      const Octets answer =
          ip({.source = ours, .destination = s.address, .ttl = 64, .flags_offset = 0x4000},
             pattern(8));
      world.from_services(answer);
      world.run();
      const auto sent = world.sent(kAccess);
      REQUIRE(sent.size() == 1);
      CHECK(hex(inner_of(sent[0])) == hex(answer));
      ++sequence;
    }
    CHECK(world.punted(kCore).empty());
    CHECK(world.record(s).upstream.packets.get() == 2);
    CHECK(world.punt_classes() == Counts{{"service passed", 2}});
  }
}

TEST_CASE("services: every fragment of a packet passes, and a ping in fragments is the host's",
          "[pipeline][services]") {
  World world;
  const Subscriber s = world.add(2);
  std::uint32_t sequence = 0;
  for (const unsigned flags_offset : {0x2000U, 0x2003U, 0x0006U}) {
    Octets inner = question(s, kOurs, 64, flags_offset);
    send(world, s, sequence++, inner);
    CHECK(world.to_services() == std::vector<Octets>{inner});
  }
  const Octets first =
      ip({.source = s.address, .destination = kOurs, .protocol = 1, .flags_offset = 0x2000},
         octets("0800f7ff0000000061626364616263646162636461626364"));
  send(world, s, sequence++, first);
  CHECK(world.to_services() == std::vector<Octets>{first});
  CHECK(world.sent(kAccess).empty());
}

TEST_CASE("services: IPv6 reaches this host and is answered", "[pipeline][services][ipv6]") {
  World world;
  const Subscriber s = world.add(2);
  world.open_ipv6(s);
  const Octets asked =
      ip6({.source = s.address6, .destination = kOurs6, .hop_limit = 1}, pattern(9));
  send(world, s, 0, asked, "0057");
  CHECK(world.to_services() == std::vector<Octets>{asked});
  const Octets answer = ip6({.source = kOurs6, .destination = s.address6}, pattern(9));
  world.from_services(answer);
  world.run();
  const auto sent = world.sent(kAccess);
  REQUIRE(sent.size() == 1);
  CHECK(hex(inner_of(sent[0])) == hex(answer));
}

TEST_CASE("services: off, packets to this host are refused, counted and reported",
          "[pipeline][services]") {
  World world({.services = false});
  const Subscriber s = world.add(2);
  world.open_ipv6(s);
  world.record(s).gateway = Ipv4Address(address(kGateway));
  std::uint32_t sequence = 0;
  for (const std::string_view ours : {kOurs, kGateway}) {
    INFO(ours);
    (void)world.counted();
    send(world, s, sequence++, question(s, ours));
    CHECK(world.drops() == Counts{{"services_off", 1}});
    const auto sent = world.sent(kAccess);
    REQUIRE(sent.size() == 1);
    CHECK(get16(inner_of(sent[0]), 20) == 0x030d);  // administratively prohibited
  }
  (void)world.counted();
  send(world, s, sequence++, ip6({.source = s.address6, .destination = kOurs6}, pattern(9)),
       "0057");
  CHECK(world.drops() == Counts{{"services_off", 1}});
  const auto sent = world.sent(kAccess);
  REQUIRE(sent.size() == 1);
  CHECK(get16(inner_of(sent[0]), 40) == 0x0101);
  CHECK(world.punted(kCore).empty());
  CHECK(world.record(s).upstream.drops.get() == 3);
}

TEST_CASE("services: a session has its share of the class, and others theirs",
          "[pipeline][services]") {
  World world({.ring_size = 1024, .listed_punt_classes = true});
  const Subscriber flood = world.add(2);
  const Subscriber other = world.add(3);
  for (std::uint32_t n = 0; n < 400; ++n) send(world, flood, n, question(flood));
  const auto passed = world.to_services().size();
  CHECK(passed >= 256);
  CHECK(passed <= 258);
  CHECK(world.drops() == Counts{{"punt_policed", 400 - passed}});
  CHECK(world.punt_classes() ==
        Counts{{"service passed", passed}, {"service policed", 400 - passed}});
  CHECK(world.record(flood).upstream.drops.get() == 400 - passed);
  send(world, other, 0, question(other));
  CHECK(world.to_services().size() == 1);
  world.advance(1'000'000);  // 10,000 a second
  for (std::uint32_t n = 400; n < 420; ++n) send(world, flood, n, question(flood));
  CHECK(world.to_services().size() == 10);
}

TEST_CASE("services: the kernel's packets to nobody end here", "[pipeline][services]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.from_services(ip({.source = kOurs, .destination = "10.64.0.99"}, pattern(8)));
  world.from_services(ip6({.source = kOurs6, .destination = "ff02::16"}, pattern(8)));
  world.from_services(octets("4500"));
  world.from_services(
      ethernet(kCoreRouterMac, kCoreMac, 0x0800, question(s, s.address)));  // no packet of IP
  world.run();
  CHECK(world.drops() == Counts{{"no_session", 4}});
  CHECK(world.sent(kCore).empty());
  CHECK(world.sent(kAccess).empty());
}

TEST_CASE("services: the kernel hears from the subscriber that a packet was too big",
          "[pipeline][services][rfc1191-4]") {
  World world;
  const Subscriber s = world.add(2);
  world.open_ipv6(s, 1280);
  const unsigned mtu = world.record(s).inner_mtu;
  world.from_services(
      ip({.source = kOurs, .destination = s.address, .flags_offset = 0x4000}, pattern(mtu)));
  world.run();
  auto reports = world.to_services();
  REQUIRE(reports.size() == 1);
  CHECK(get32(reports[0], 12) == address(s.address));
  CHECK(get32(reports[0], 16) == address(kOurs));
  CHECK(get16(reports[0], 20) == 0x0304);
  CHECK(get16(reports[0], 26) == mtu);
  world.from_services(ip6({.source = kOurs6, .destination = s.address6}, pattern(1500)));
  world.run();
  reports = world.to_services();
  REQUIRE(reports.size() == 1);
  CHECK(get16(reports[0], 40) == 0x0200);
  CHECK(hex(Bytes(reports[0]).subspan(8, 16)) == hex(address6(s.address6)));
  CHECK(world.sent(kAccess).empty());
}
