// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "dataplane/routing/mapped_address.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

Octets data(const Subscriber& s, std::size_t payload = 20, unsigned ttl = 64, unsigned flags = 0,
            unsigned id = 0) {
  return ip(
      {.source = kServer, .destination = s.address, .ttl = ttl, .id = id, .flags_offset = flags},
      pattern(payload));
}

// Outer headers taken off a frame that was sent to a peer: the PPP frame.
Octets ppp_of(const Octets& frame) {
  const std::size_t gre = 34;
  const unsigned flags = get16(frame, gre);
  const std::size_t at = gre + 8 + ((flags & 0x1000) != 0 ? 4 : 0) + ((flags & 0x80) != 0 ? 4 : 0);
  return {frame.begin() + static_cast<long>(at), frame.end()};
}

}  // namespace

TEST_CASE("pipeline: a packet for a subscriber goes into the tunnel, numbers from 0",
          "[pipeline][rfc2637-4.1]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  for (unsigned n = 0; n < 3; ++n) {
    world.receive(kCore, from_core(data(s)));
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0]) == hex(to_peer(s, n, n, ppp("0021", data(s, 20, 63)))));
  }
  CHECK(world.counted() == Counts{{"core_rx", 3},
                                  {"access_tx", 3},
                                  {"downstream_packets", 3},
                                  {"downstream_bytes", 120}});
  const auto& down = world.record(s).downstream;
  CHECK(down.packets.get() == 3);
  CHECK(down.gre_packets.get() == 3);
  CHECK(down.gre_bytes.get() == 3 * (20 + 12 + 4 + 40));
  CHECK(down.next_sequence == 3);
}

TEST_CASE("pipeline: an acknowledgement that is owed rides along, once",
          "[pipeline][rfc2637-4.4]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(
      kAccess,
      from_peer(s, 41, ppp("0021", ip({.source = s.address, .destination = kServer}, pattern(8)))));
  world.run();
  world.receive(kCore, from_core(data(s)));
  world.receive(kCore, from_core(data(s)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  CHECK(hex(out[0]) == hex(to_peer(s, 0, 0, ppp("0021", data(s, 20, 63)), 41)));
  CHECK(hex(out[1]) == hex(to_peer(s, 1, 1, ppp("0021", data(s, 20, 63)))));
  world.advance(200'000'000);
  world.run();
  CHECK(world.sent(kAccess).empty());
  CHECK(world.counted().at("acks_sent") == 1);
}

TEST_CASE("pipeline: a peer that never acknowledges does not stop us",
          "[pipeline][conformance-33]") {
  World world;
  const Subscriber s = world.add(2);
  for (unsigned n = 0; n < 500; ++n) {
    world.receive(kCore, from_core(data(s)));
    if (n % 50 == 0) world.run();
  }
  world.run();
  CHECK(world.sent(kAccess).size() == 500);
}

TEST_CASE("pipeline: our sequence number wraps", "[pipeline][conformance-32]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).downstream.next_sequence = 0xffffffff;
  world.receive(kCore, from_core(data(s)));
  world.receive(kCore, from_core(data(s)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  CHECK(get32(out[0], 42) == 0xffffffff);
  CHECK(get32(out[1], 42) == 0);
}

TEST_CASE("pipeline: PPP headers as short as the peer agreed, LCP in full",
          "[pipeline][rfc1661-6.5][rfc1661-6.6]") {
  World world;
  const Subscriber s = world.add(2);
  struct Case {
    bool acfc, pfc;
    const char* ipv4;
    const char* ipcp;
  };
  for (const Case& c :
       {Case{false, false, "ff030021", "ff038021"}, Case{true, false, "0021", "8021"},
        Case{false, true, "ff0321", "ff038021"}, Case{true, true, "21", "8021"}}) {
    WorkerCommand::Body body;
    body.configure_link = {};
    body.configure_link.open = true;
    body.configure_link.send_acfc = c.acfc;
    body.configure_link.send_pfc = c.pfc;
    world.command(s, WorkerCommandType::kConfigureLink, body);
    world.inject(s, "ff03 c021 01020004");
    world.inject(s, "ff03 8021 01020004");
    world.run();
    world.receive(kCore, from_core(data(s)));
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 3);
    CHECK(hex(ppp_of(out[0])) == "ff03c02101020004");
    CHECK(hex(ppp_of(out[1])) == std::string(c.ipcp) + "01020004");
    CHECK(hex(ppp_of(out[2])) == hex(concat({octets(c.ipv4), data(s, 20, 63)})));
  }
}

TEST_CASE("pipeline: injected frames, right and wrong", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2, false);
  (void)world.counted();
  world.inject(s, "ff03 c021 0101000e");
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_peer(s, 0, 0, octets("ff03c0210101000e"))));
  Subscriber old = s;
  --old.generation;
  world.inject(old, "ff03 c021 0101000e");
  world.inject(s, "ff03");
  world.run();
  CHECK(world.sent(kAccess).empty());
  CHECK(
      world.counted() ==
      Counts{{"access_tx", 1}, {"injected", 3}, {"drop no_session", 1}, {"drop ppp_truncated", 1}});
}

TEST_CASE("pipeline: a packet that is too big and may not be cut is reported",
          "[pipeline][rfc1191]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  const Octets big = data(s, 1381, 64, 0x4000);  // 1,401 octets
  world.receive(kCore, from_core(data(s, 1380, 64, 0x4000)));
  world.receive(kCore, from_core(big));
  world.run();
  CHECK(world.sent(kAccess).size() == 1);
  const auto out = world.sent(kCore);
  REQUIRE(out.size() == 1);
  const Octets after_ttl = data(s, 1381, 63, 0x4000);
  Octets icmp = concat({octets("0304 0000 0000 0578"), Bytes(after_ttl).first(548)});
  put16(icmp, 2, checksum(icmp));
  CHECK(hex(out[0]) ==
        hex(to_core(ip(
            {.source = kIcmpSource, .destination = kServer, .protocol = 1, .ttl = 64, .tos = 0xc0},
            icmp))));
  for (unsigned n = 0; n < 25; ++n) world.receive(kCore, from_core(big));
  world.run();
  const auto counted = world.counted();
  CHECK(counted.at("drop too_big") == 20);
  CHECK(counted.at("drop too_big_unreported") == 6);
  CHECK(world.record(s).downstream.drops.get() == 26);
}

TEST_CASE("pipeline: a packet that is too big and may be cut arrives in pieces",
          "[pipeline][rfc791-3.2]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kCore, from_core(data(s, 1475, 64, 0, 0x1234)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  const Octets whole = pattern(1475);
  const auto piece = [&](std::size_t from, std::size_t size, unsigned flags) {
    return ip({.source = kServer,
               .destination = s.address,
               .ttl = 63,
               .id = 0x1234,
               .flags_offset = flags},
              Bytes(whole).subspan(from, size));
  };
  CHECK(hex(out[0]) == hex(to_peer(s, 0, 0, ppp("0021", piece(0, 1376, 0x2000)))));
  CHECK(hex(out[1]) == hex(to_peer(s, 1, 1, ppp("0021", piece(1376, 99, 172)))));
  CHECK(world.counted() == Counts{{"core_rx", 1},
                                  {"access_tx", 2},
                                  {"generated", 2},
                                  {"consumed", 1},
                                  {"downstream_packets", 2},
                                  {"downstream_bytes", 1396 + 119}});
}

TEST_CASE("pipeline: a peer with an MRU of 128 gets a whole ping of 1,400 octets",
          "[pipeline][rfc791-3.2]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).inner_mtu = 124;
  (void)world.counted();
  world.receive(kCore, from_core(data(s, 1'380)));
  world.run();
  const auto out = world.sent(kAccess);
  CHECK(out.size() == 14);  // 104 octets each
  Octets whole;
  for (const Octets& frame : out) {
    const Octets inner = ppp_of(frame);
    CHECK(inner.size() <= 4 + 124);
    whole.insert(whole.end(), inner.begin() + 4 + 20, inner.end());
  }
  CHECK(hex(whole) == hex(pattern(1'380)));
  CHECK(world.drops().empty());
  // Over an MTU that no link may have: named, and not "no buffer".
  world.record(s).inner_mtu = 60;
  world.receive(kCore, from_core(data(s, 1'380)));
  world.run();
  CHECK(world.sent(kAccess).empty());
  CHECK(world.drops() == Counts{{"fragment_limit", 1}});
}

TEST_CASE("pipeline: a fragment cut again keeps its place and its more-fragments bit",
          "[pipeline][rfc791-3.2]") {
  World world;
  const Subscriber s = world.add(2);
  world.receive(kCore, from_core(data(s, 1440, 64, 0x2000 | 185, 9)));  // offset 1,480
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  CHECK(get16(ppp_of(out[0]), 4 + 6) == (0x2000 | 185));
  CHECK(get16(ppp_of(out[1]), 4 + 6) == (0x2000 | (185 + 172)));
}

TEST_CASE("pipeline: outer packets beyond the port's MTU leave in fragments",
          "[pipeline][rfc2637-1.4]") {
  World world({.mtu = 1400});
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kCore, from_core(data(s, 1380)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  // Put together again they are the packet that would have left whole.
  Octets whole = {out[0].begin(), out[0].end()};
  whole.insert(whole.end(), out[1].begin() + 34, out[1].end());
  CHECK(get16(out[0], 20) == 0x2000);
  CHECK(get16(out[1], 20) == 1376 / 8);
  CHECK(checksum(Bytes(out[0]).subspan(14, 20)) == 0);
  CHECK(checksum(Bytes(out[1]).subspan(14, 20)) == 0);
  CHECK(out[0].size() <= 1414);
  const Octets expected = to_peer(s, 0, 0, ppp("0021", data(s, 1380, 63)));
  CHECK(hex(Bytes(whole).subspan(34)) == hex(Bytes(expected).subspan(34)));
}

TEST_CASE("pipeline: an expired packet from the core is reported to its sender", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kCore, from_core(data(s, 20, 1)));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(world.counted().at("drop ttl_expired") == 1);
}

TEST_CASE("pipeline: the MSS of a SYN towards a subscriber is lowered", "[pipeline][rfc4459]") {
  World world;
  const Subscriber s = world.add(2);
  const Octets tcp = octets("0050 0401 00000001 00000002 6012 2000 0000 0000 020405b4");
  world.receive(kCore,
                from_core(ip({.source = kServer, .destination = s.address, .protocol = 6}, tcp)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(get16(ppp_of(out[0]), 4 + 20 + 22) == 1360);
}

TEST_CASE("pipeline: a peer without a route or a MAC", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).peer = Ipv4Address(address("172.16.5.5"));
  (void)world.counted();
  world.receive(kCore, from_core(data(s)));
  world.run();
  CHECK(world.drops() == Counts{{"no_route", 1}});
  world.record(s).peer = Ipv4Address(address("198.51.100.77"));
  world.receive(kCore, from_core(data(s)));
  world.run();
  const auto wanted = world.resolves();
  REQUIRE(wanted.size() == 1);
  CHECK(wanted[0].next_hop == dataplane::mapped(Ipv4Address(address("198.51.100.77"))));
  CHECK(wanted[0].outer);
  CHECK(get32(wanted[0].frame, 42) == 1);  // the number of the lost one is not used again
}

TEST_CASE("pipeline: a closed network protocol takes nothing", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  world.command(s, WorkerCommandType::kCloseIpv4);
  world.run();
  (void)world.counted();
  // Nobody's address any more, though the index still has it: the kernel's, as it came. It lies in
  // no pool.
  REQUIRE(world.routing().inner.delete_route(*Ipv4Prefix::parse(s.address + "/32")));
  const Subscriber open = world.add(3);
  const Octets padded = concat({from_core(data(s)), pattern(6)});
  world.receive(kCore, from_core(data(open)));
  world.receive(kCore, padded);
  world.receive(kCore, from_core(data(open)));
  world.run();
  CHECK(world.punted(kCore) == std::vector<Octets>{padded});
  CHECK(world.sent(kAccess).size() == 2);
  world.record(s).subscriber = Ipv4Address(address(s.address));
  world.receive(kCore, from_core(data(s)));
  world.run();
  CHECK(world.drops() == Counts{{"network_not_open", 1}});

  World alone({.twins = false});
  const Subscriber other = alone.add(2);
  REQUIRE(alone.routing().inner.delete_route(*Ipv4Prefix::parse(other.address + "/32")));
  alone.command(other, WorkerCommandType::kCloseIpv4);
  alone.run();
  alone.receive(kCore, from_core(data(other)));
  alone.run();
  CHECK(alone.drops() == Counts{{"no_session", 1}});
}
