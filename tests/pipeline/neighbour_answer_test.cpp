// SPDX-License-Identifier: BSD-3-Clause
//
// Hosts of the core network ask for subscribers by ARP and Neighbor Discovery.
#include <catch2/catch.hpp>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

using Counts = std::map<std::string, std::uint64_t>;

constexpr std::string_view kAll = "ffffffffffff";
constexpr std::string_view kHostMac = "020000000077";
constexpr std::string_view kHost6 = "2001:db8:c::77";

Octets arp(std::string_view sender, std::string_view target, std::string_view to = kAll,
           std::string_view operation = "0001") {
  Octets message = octets(
      "0001080006040000020000000077000000000000000000000000"
      "0000");
  const Octets code = octets(operation);
  std::copy(code.begin(), code.end(), message.begin() + 6);
  put32(message, 14, address(sender));
  put32(message, 24, address(target));
  return ethernet(to, kHostMac, 0x0806, message);
}

// With the source's link-layer address, as a host sends it.
Octets solicitation(std::string_view source, std::string_view target, std::string_view destination,
                    std::string_view to, unsigned hop_limit = 255) {
  const bool probe = source == "::";
  Octets message = concat({octets("87000000 00000000"), address6(target)});
  if (!probe) message = concat({message, octets("0101"), octets(kHostMac)});
  return ethernet(
      to, kHostMac, 0x86dd,
      icmp6({.source = source, .destination = destination, .hop_limit = hop_limit}, message));
}

Octets advertisement(std::string_view target, std::string_view destination, std::string_view to,
                     std::string_view flags) {
  return ethernet(to, kCoreMac, 0x86dd,
                  icmp6({.source = target, .destination = destination, .hop_limit = 255},
                        concat({octets("88000000"), octets(flags), address6(target), octets("0201"),
                                octets(kCoreMac)})));
}

}  // namespace

TEST_CASE("neighbour answers: a host of the core network hears who has a subscriber's address",
          "[pipeline][rfc826]") {
  for (const bool twins : {true, false}) {
    World world({.twins = twins});
    const Subscriber s = world.add(2);
    for (const std::string_view to : {kAll, kCoreMac}) {
      world.receive(kCore, arp("10.0.0.77", s.address, to));
      world.run();
      Octets reply = ethernet(kHostMac, kCoreMac, 0x0806,
                              octets("0001080006040002020000000002000000000200000000770a00004d"));
      reply.resize(14 + 28);
      put32(reply, 14 + 14, address(s.address));
      std::copy_n(octets(kHostMac).begin(), 6, reply.begin() + 14 + 18);
      put32(reply, 14 + 24, address("10.0.0.77"));
      const auto sent = world.sent(kCore);
      REQUIRE(sent.size() == 1);
      CHECK(hex(sent[0]) == hex(reply));
    }
    // A probe, too: the address is taken.
    world.receive(kCore, arp("0.0.0.0", s.address));
    world.run();
    CHECK(world.sent(kCore).size() == 1);
    CHECK(world.punted(kCore).empty());
    CHECK(world.counted().at("neighbour_answers") == 3);
  }
}

TEST_CASE("neighbour answers: what asks for nothing of ours is the kernel's",
          "[pipeline][rfc826]") {
  World world;
  const Subscriber s = world.add(2);
  const std::vector<Octets> frames = {arp("10.0.0.77", "10.64.0.99"),             // nobody's
                                      arp(s.address, s.address),                  // an announcement
                                      arp("10.0.0.77", s.address, kAll, "0002"),  // a reply
                                      ethernet(kAll, kHostMac, 0x0806, octets("0001"))};
  for (const Octets& frame : frames) world.receive(kCore, frame);
  world.run();
  CHECK(world.punted(kCore) == frames);
  CHECK(world.sent(kCore).empty());
  // The access side knows no subscribers.
  world.receive(kAccess, ethernet(kAll, kAccessRouterMac, 0x0806, pattern(28)));
  world.run();
  CHECK(world.punted(kAccess).size() == 1);

  World alone({.twins = false});
  alone.receive(kCore, arp("10.0.0.77", "10.64.0.99"));
  alone.run();
  CHECK(alone.drops() == Counts{{"pool_address_unused", 1}});
}

TEST_CASE("neighbour answers: a solicitation for an address of a subscriber's prefix is answered",
          "[pipeline][ipv6][rfc4861-7.2.8]") {
  for (const bool twins : {true, false}) {
    World world({.twins = twins});
    const Subscriber s = world.add(2);
    world.open_ipv6(s);
    const std::string group = "ff02::1:ff00:7";
    world.receive(kCore, solicitation(kHost6, s.address6, group, "3333ff000007"));
    world.run();
    auto sent = world.sent(kCore);
    REQUIRE(sent.size() == 1);
    CHECK(hex(sent[0]) == hex(advertisement(s.address6, kHost6, kHostMac, "40000000")));
    // By unicast, when the host knows it.
    world.receive(kCore, solicitation(kHost6, s.address6, s.address6, kCoreMac));
    world.run();
    sent = world.sent(kCore);
    REQUIRE(sent.size() == 1);
    CHECK(hex(sent[0]) == hex(advertisement(s.address6, kHost6, kHostMac, "40000000")));
    CHECK(world.sent(kAccess).empty());
    // Duplicate address detection: all hear it, and the answer is longer than the question.
    world.receive(kCore, solicitation("::", s.address6, group, "3333ff000007"));
    world.run();
    sent = world.sent(kCore);
    REQUIRE(sent.size() == 1);
    CHECK(hex(sent[0]) == hex(advertisement(s.address6, "ff02::1", "333300000001", "00000000")));
    CHECK(world.counted().at("neighbour_answers") == 3);
  }
}

TEST_CASE("neighbour answers: solicitations for others, and wrong ones, are not answered",
          "[pipeline][ipv6]") {
  World world;
  const Subscriber s = world.add(2);
  world.open_ipv6(s);
  const std::string group = "ff02::1:ff00:7";
  const std::vector<Octets> frames = {
      solicitation(kHost6, "2001:db8:65:1::7", group, "3333ff000007"),
      solicitation(kHost6, s.address6, group, "3333ff000007", 254)};
  for (const Octets& frame : frames) world.receive(kCore, frame);
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(world.punted(kCore).size() == 2);
}

TEST_CASE("neighbour answers: their rate is bounded", "[pipeline]") {
  World world({.ring_size = 1024});
  const Subscriber s = world.add(2);
  (void)world.counted();
  for (unsigned n = 0; n < 300; ++n) {
    world.receive(kCore, arp("10.0.0.77", s.address));
    if (n % 30 == 0) world.run();
  }
  world.run();
  const auto sent = world.sent(kCore).size();
  CHECK(sent >= 256);
  CHECK(sent <= 258);
  CHECK(world.drops() == Counts{{"punt_policed", 300 - sent}});
  CHECK(world.punt_classes().at("neighbour policed") == 300 - sent);
}
