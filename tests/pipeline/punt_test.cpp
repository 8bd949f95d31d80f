// SPDX-License-Identifier: BSD-3-Clause
//
// Packets for the kernel and for main while one kind of them comes in floods: classes of frames for
// the twins, addresses of the pools that nobody has, and requests for neighbours.
#include <rte_mbuf.h>

#include <catch2/catch.hpp>

#include "dataplane/pipeline/host_unreachable.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

constexpr std::uint64_t kMillisecondNs = 1'000'000;
constexpr std::string_view kBroadcast = "ffffffffffff";
// A stranger on the Internet.
constexpr std::string_view kStranger = "192.0.2.66";

Octets arp() { return ethernet(kAccessMac, kAccessRouterMac, 0x0806, pattern(28)); }

Octets tcp(unsigned source, unsigned destination, unsigned flags) {
  Octets segment = pattern(20);
  put16(segment, 0, source);
  put16(segment, 2, destination);
  segment[13] = static_cast<std::byte>(flags);
  return segment;
}

Octets to_us(unsigned protocol, Bytes payload) {
  return ethernet(kAccessMac, kAccessRouterMac, 0x0800,
                  ip({.source = kStranger, .destination = kLocal, .protocol = protocol}, payload));
}

struct Flood {
  const char* name;
  Octets frame;
  const char* punt_class;
};

std::vector<Flood> floods() {
  return {{"UDP", to_us(17, pattern(40)), "other"},
          {"SYN to 1723", to_us(6, tcp(40'000, 1723, 0x02)), "control_open"},
          {"ACK to 1723", to_us(6, tcp(40'000, 1723, 0x10)), "control"},
          {"ping", to_us(1, pattern(40)), "icmp"},
          {"ARP", arp(), "neighbour"},
          {"OSPF", to_us(89, pattern(40)), "routing"}};
}

unsigned count_of(const std::vector<Octets>& frames, const Octets& wanted) {
  return static_cast<unsigned>(std::count(frames.begin(), frames.end(), wanted));
}

}  // namespace

TEST_CASE("punt classes: a million junk frames, and every ARP reply arrives", "[pipeline][punt]") {
  World world({.listed_punt_classes = true});
  (void)world.counted();
  const Octets junk = to_us(17, pattern(40));
  const Octets reply = arp();
  unsigned replies = 0;
  unsigned arrived = 0;
  constexpr unsigned kFrames = 1'000'000;
  // A million a second; a reply each 10 ms, more often than any gateway is asked.
  for (unsigned n = 0; n < kFrames; ++n) {
    world.receive(kAccess, junk);
    if (n % 500 == 499) world.run();
    if (n % 1'000 == 999) {
      world.advance(kMillisecondNs);
      arrived += count_of(world.punted(kAccess), reply);
    }
    if (n % 10'000 != 5'000) continue;
    world.receive(kAccess, reply);
    ++replies;
  }
  world.run();
  arrived += count_of(world.punted(kAccess), reply);
  CHECK(replies == 100);
  CHECK(arrived == replies);
  // 10 in each of the 999 milliseconds that have passed, and 256 at once.
  constexpr unsigned kPassed = 9'990 + 256;
  CHECK(world.punt_classes() ==
        std::map<std::string, std::uint64_t>{{"neighbour passed", replies},
                                             {"other passed", kPassed},
                                             {"other policed", kFrames - kPassed}});
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"punt_policed", kFrames - kPassed}});
}

TEST_CASE("punt classes: a flood of one class fills no ring of another", "[pipeline][punt]") {
  for (const Flood& flood : floods()) {
    INFO(flood.name);
    World world({.listed_punt_classes = true});
    (void)world.counted();
    // The punt thread stands still all the time.
    for (unsigned n = 0; n < 20'000; ++n) {
      world.receive(kAccess, flood.frame);
      if (n % 500 != 499) continue;
      world.run();
      world.advance(kMillisecondNs);
    }
    std::map<std::string, unsigned> others;
    for (const Flood& other : floods()) {
      if (std::string_view(other.punt_class) == flood.punt_class) continue;
      for (unsigned n = 0; n < 64; ++n) world.receive(kAccess, other.frame);
      others[other.punt_class] = 64;
    }
    world.run();
    const auto counted = world.punt_classes();
    for (const auto& [name, frames] : others) {
      CHECK(counted.at(name + " passed") == frames);
      CHECK(counted.count(name + " policed") == 0);
    }
    // The flood itself was held back, by its rate or its ring.
    CHECK(counted.at(std::string(flood.punt_class) + " passed") <= 4'096);
    (void)world.punted(kAccess);
  }
}

TEST_CASE("punt classes: packets out of a tunnel take nothing from control connections",
          "[pipeline][punt]") {
  World world({.listed_punt_classes = true});
  const Subscriber s = world.add(2);
  (void)world.counted();
  const Octets inner =
      ip({.source = s.address, .destination = "10.0.0.1", .protocol = 6}, tcp(40'000, 1723, 0x10));
  world.receive(kAccess, from_peer(s, 0, ppp("0021", inner)));
  world.run();
  CHECK(world.punted(kCore).empty());
  CHECK(world.to_services().size() == 1);
  CHECK(world.punt_classes().at("service passed") == 1);
}

TEST_CASE("punt classes: group frames are told apart by what they hold", "[pipeline][punt]") {
  World world;
  (void)world.counted();
  world.receive(kCore, ethernet(kBroadcast, kCoreRouterMac, 0x0806, pattern(28)));
  world.receive(
      kCore,
      ethernet("01005e000005", kCoreRouterMac, 0x0800,
               ip({.source = "10.0.0.254", .destination = "224.0.0.5", .protocol = 89, .ttl = 1},
                  pattern(44))));
  world.receive(
      kCore, ethernet(kBroadcast, kCoreRouterMac, 0x0800,
                      ip({.source = "10.0.0.7", .destination = "255.255.255.255"}, pattern(44))));
  world.run();
  CHECK(world.punt_classes() == std::map<std::string, std::uint64_t>{{"neighbour passed", 1},
                                                                     {"other passed", 1},
                                                                     {"routing passed", 1}});
}

TEST_CASE("pools: packets to an address that nobody has end here, and cost the kernel nothing",
          "[pipeline][punt]") {
  for (const bool twins : {true, false}) {
    INFO((twins ? "with twins" : "without"));
    World world({.twins = twins});
    (void)world.counted();
    world.receive(kCore,
                  from_core(ip({.source = kServer, .destination = "10.65.3.4"}, pattern(8))));
    world.receive(kCore, from_core6(ip6({.source = kServer6, .destination = "2001:db8:65:1::7"},
                                        pattern(8))));
    world.run();
    CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"pool_address_unused", 2}});
    CHECK(world.punted(kCore).empty());
    CHECK(world.sent(kCore).empty());  // no answer
  }
}

TEST_CASE("pools: an address that a session gives up is nobody's at once, and its next owner's",
          "[pipeline][punt]") {
  World world;
  const Subscriber s = world.add(2, std::string("10.65.0.9"), 0x0102);
  const Octets packet = from_core(ip({.source = kServer, .destination = s.address}, pattern(8)));
  (void)world.counted();
  world.receive(kCore, packet);
  world.run();
  CHECK(world.sent(kAccess).size() == 1);
  (void)world.counted();
  world.table().unbind_address(s.slot());
  world.receive(kCore, packet);
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"pool_address_unused", 1}});
  // The index still leads to a session that has given up the address in its record.
  REQUIRE(world.table().bind_address(s.slot(), Ipv4Address(address(s.address))) ==
          contract::ReplyResult::kDone);
  world.command(s, WorkerCommandType::kCloseIpv4);
  world.run();
  (void)world.counted();
  world.receive(kCore, packet);
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"pool_address_unused", 1}});
}

TEST_CASE("pools: an address of the host itself, or a longer route, is no pool's",
          "[pipeline][punt]") {
  World world;
  (void)world.counted();
  world.receive(kCore, from_core(ip({.source = kServer, .destination = "10.65.0.1"}, pattern(8))));
  world.run();
  CHECK(world.punted(kCore).size() == 1);
  CHECK(world.drops().empty());
}

TEST_CASE("pools: a subscriber is told that nobody has the address, and no loop begins",
          "[pipeline][punt]") {
  World world;
  const Subscriber s = world.add(2);
  world.open_ipv6(s);
  (void)world.counted();
  world.receive(
      kAccess,
      from_peer(s, 0,
                ppp("0021", ip({.source = s.address, .destination = "10.65.3.4"}, pattern(20)))));
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"pool_address_unused", 1}});
  CHECK(world.sent(kCore).empty());
  auto answers = world.sent(kAccess);
  REQUIRE(answers.size() == 1);
  // Behind Ethernet, IPv4, GRE with number and acknowledgement, FF 03 00 21: inner IPv4, ICMP.
  constexpr std::size_t kInnerAt = 14 + 20 + 16 + 4;
  CHECK(answers[0][kInnerAt + 9] == std::byte{1});
  CHECK(get16(answers[0], kInnerAt + 20) == 0x0301);  // host unreachable

  world.receive(kAccess,
                from_peer(s, 1,
                          ppp("0057", ip6({.source = s.address6, .destination = "2001:db8:65::1"},
                                          pattern(20)))));
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"pool_address_unused", 1}});
  answers = world.sent(kAccess);
  REQUIRE(answers.size() == 1);
  CHECK(get16(answers[0], kInnerAt + 40) == 0x0103);  // address unreachable
}

namespace {

// Data of a subscriber to a host on the core port's own link.
Octets to_link(const Subscriber& s, std::uint32_t sequence, unsigned host) {
  const std::string destination =
      "10.99." + std::to_string(host / 250) + "." + std::to_string(1 + host % 250);
  return from_peer(s, sequence,
                   ppp("0021", ip({.source = s.address, .destination = destination}, pattern(20))));
}
Octets to_gateway(const Subscriber& s, std::uint32_t sequence) {
  return from_peer(
      s, sequence,
      ppp("0021", ip({.source = s.address, .destination = "192.168.1.1"}, pattern(8))));
}

}  // namespace

TEST_CASE("neighbours: a session that scans the link pays for itself, not for others",
          "[pipeline][punt]") {
  World world({.ring_size = 1024});
  const Subscriber scanner = world.add(2);
  const Subscriber other = world.add(3);
  (void)world.counted();
  std::uint32_t sequence = 0;
  for (unsigned ms = 0; ms < 1'000; ++ms) {
    for (unsigned n = 0; n < 2; ++n, ++sequence)
      world.receive(kAccess, to_link(scanner, sequence, sequence));
    world.run();
    world.advance(kMillisecondNs);
  }
  // 16 at once and 4 a second, of 2,000.
  CHECK(world.resolves().size() == 19);
  CHECK(world.drops().at("next_hop_unresolved") == 1'981);
  world.receive(kAccess, to_link(other, 0, 77));
  world.receive(kAccess, to_gateway(scanner, sequence));
  world.run();
  const auto asked = world.resolves();
  REQUIRE(asked.size() == 2);
  CHECK(world.drops().empty());
}

TEST_CASE("neighbours: a new session on a slot does not pay for the one before",
          "[pipeline][punt]") {
  World world({.ring_size = 1024});
  const Subscriber s = world.add(2);
  for (std::uint32_t n = 0; n < 20; ++n) world.receive(kAccess, to_link(s, n, n));
  world.run();
  CHECK(world.resolves().size() == 16);
  const auto token = world.table().unlink(s.slot());
  world.run();
  REQUIRE(world.table().quiescent(token));
  world.table().release(s.slot());
  const Subscriber next = world.add(2);
  for (std::uint32_t n = 0; n < 20; ++n) world.receive(kAccess, to_link(next, n, n));
  world.run();
  CHECK(world.resolves().size() == 16);
}

TEST_CASE("neighbours: nothing that goes to main fills the ring of gateways", "[pipeline][punt]") {
  World world({.ring_size = 8});
  const Subscriber s = world.add(2);
  const Subscriber other = world.add(3);
  (void)world.counted();
  // Main stands still. More PPP control frames, and more neighbours, than fit.
  for (std::uint32_t n = 0; n < 12; ++n) {
    world.receive(kAccess, from_peer(s, n, ppp("c021", octets("01010004"))));
    world.receive(kAccess, to_link(other, n, n));
  }
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"punt_full", 8}});
  world.receive(kAccess, to_gateway(s, 12));
  world.run();
  CHECK(world.drops().empty());
  CHECK(world.control().size() == 8);
  const auto asked = world.resolves();
  REQUIRE(asked.size() == 9);
  CHECK(std::count_if(asked.begin(), asked.end(), [](const ResolveRequest& request) {
          return request.next_hop == *Ipv6Address::parse("::ffff:10.0.0.254");
        }) == 1);
}

TEST_CASE("neighbours: a subscriber hears that a host does not answer", "[pipeline][punt]") {
  World world({.ring_size = 1024});
  const Subscriber s = world.add(2);
  world.open_ipv6(s);
  const dataplane::ReportSources sources{Ipv4Address(address(kIcmpSource)),
                                         *Ipv6Address::parse(kOurs6)};
  const MacAddress mac{2, 0, 0, 0, 0, 2};
  const auto report_of = [&](const Octets& frame) {
    std::array<std::byte, dataplane::kMaxUnreachableReport> out{};
    const std::size_t length = dataplane::write_host_unreachable(out, frame, mac, sources);
    return Octets(out.begin(), out.begin() + static_cast<long>(length));
  };
  world.receive(kAccess, to_link(s, 0, 5));
  world.run();
  auto asked = world.resolves();
  REQUIRE(asked.size() == 1);
  const Octets report = report_of(asked[0].frame);
  REQUIRE(report.size() > 14 + 28);
  world.send_frame(kCore, report);
  world.run();
  auto answers = world.sent(kAccess);
  REQUIRE(answers.size() == 1);
  constexpr std::size_t kInnerAt = 14 + 20 + 16 + 4;
  CHECK(get32(answers[0], kInnerAt + 12) == address(kIcmpSource));
  CHECK(get32(answers[0], kInnerAt + 16) == address(s.address));
  CHECK(get16(answers[0], kInnerAt + 20) == 0x0301);
  CHECK(world.sent(kCore).empty());

  world.receive(kAccess,
                from_peer(s, 1,
                          ppp("0057", ip6({.source = s.address6, .destination = "2001:db8:99::5"},
                                          pattern(20)))));
  world.run();
  asked = world.resolves();
  REQUIRE(asked.size() == 1);
  world.send_frame(kCore, report_of(asked[0].frame));
  world.run();
  answers = world.sent(kAccess);
  REQUIRE(answers.size() == 1);
  CHECK(get16(answers[0], kInnerAt + 40) == 0x0103);

  // About an ICMP error nothing is said, nor about what is no packet.
  const Octets error = to_core(ip({.source = s.address, .destination = "10.99.0.5", .protocol = 1},
                                  octets("0301000000000000")));
  CHECK(report_of(error).empty());
  CHECK(report_of(Octets(10)).empty());
  CHECK(report_of(to_core(octets("450000"))).empty());
}
