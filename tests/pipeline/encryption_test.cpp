// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "pns/mppe/mppe.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using dataplane::MppeVariant;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

Octets up_data(const Subscriber& s, unsigned id = 0, unsigned ttl = 64) {
  return concat(
      {octets("0021"),
       ip({.source = s.address, .destination = kServer, .ttl = ttl, .id = id}, pattern(60))});
}

}  // namespace

TEST_CASE("pipeline: encrypted both ways, every variant, strength and mode", "[pipeline][mppe]") {
  const auto variant = GENERATE(MppeVariant::kPortable, MppeVariant::kAvx2, MppeVariant::kAvx512);
  const auto rc4 = GENERATE(dataplane::Rc4Form::kBytes, dataplane::Rc4Form::kWords);
  if (!dataplane::has_variant(variant)) return;
  for (const bool stateless : {true, false})
    for (const unsigned bits : {40U, 56U, 128U}) {
      World world({.mppe_variant = variant, .mppe_rc4 = rc4});
      const Subscriber s = world.add(2, true, true);
      world.arm(s, stateless, bits);
      ArmedPeer peer(stateless, bits);
      for (unsigned n = 0; n < 300; ++n) {
        world.receive(kAccess, from_peer(s, n, peer.seal(up_data(s, n))));
        const Octets down =
            ip({.source = kServer, .destination = s.address, .id = n}, pattern(40 + n));
        world.receive(kCore, from_core(down));
        world.run();
        const auto out = world.sent(kCore);
        REQUIRE(out.size() == 1);
        const Octets expected = up_data(s, n, 63);
        REQUIRE(hex(out[0]) == hex(to_core(Bytes(expected).subspan(2))));
        const auto back = world.sent(kAccess);
        REQUIRE(back.size() == 1);
        REQUIRE(peer.open(back[0]) ==
                "0021" + hex(ip({.source = kServer, .destination = s.address, .ttl = 63, .id = n},
                                pattern(40 + n))));
      }
    }
}

TEST_CASE("pipeline: many packets of one session in one burst keep order and keys",
          "[pipeline][mppe]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  for (unsigned n = 0; n < 32; ++n)
    world.receive(kAccess, from_peer(s, n, peer.seal(up_data(s, n))));
  for (unsigned n = 0; n < 32; ++n)
    world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address, .id = n},
                                      pattern(1480))));
  world.run();
  CHECK(world.sent(kCore).size() == 32);
  unsigned pieces = 0;
  for (const Octets& frame : world.sent(kAccess)) {
    if ((get16(frame, 34) & 0x1000) == 0) continue;  // the early ack
    CHECK(peer.open(frame).starts_with("0021"));
    ++pieces;
  }
  CHECK(pieces == 64);  // 1,500 octets in two pieces each
}

TEST_CASE("pipeline: control protocols are never encrypted, and pass clear both ways",
          "[pipeline][mppe]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  world.inject(s, "ff03 80fd 05010004");
  world.inject(s, "ff03 c021 09010008 00000000");
  world.receive(kAccess, from_peer(s, 0, ppp("80fd", octets("05010004"))));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  CHECK(hex(Bytes(out[0]).subspan(46, 4)) == "ff0380fd");
  CHECK(hex(Bytes(out[1]).subspan(46, 4)) == "ff03c021");
  CHECK(world.control().size() == 1);
}

TEST_CASE("pipeline: a compressed inner protocol is taken and, when agreed, sent",
          "[pipeline][mppe][rfc1661-6.5]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  const Octets inner = up_data(s);
  world.receive(kAccess, from_peer(s, 0, peer.seal(Bytes(inner).subspan(1))));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  world.record(s).flags.fetch_or(contract::kFlagSendPfc);
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(8))));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  // PFC shortens the outer protocol too: FF 03 FD.
  CHECK(hex(Bytes(out[0]).subspan(50, 3)) == "ff03fd");
  Octets packet(out[0].begin() + 53, out[0].end());
  const auto opened = mppe::open(peer.receive, packet);
  REQUIRE(opened);
  CHECK(hex(opened->first(2)) == "2145");
}

TEST_CASE("pipeline: LCP, MPPE and other control protocols inside MPPE are dropped",
          "[pipeline][mppe][conformance-53]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  (void)world.counted();
  std::uint32_t sequence = 0;
  for (const char* inner : {"00fd 9001 aabb", "c021 05010004", "8021 01010004", "80fd 05010004"})
    world.receive(kAccess, from_peer(s, sequence++, peer.seal(octets(inner))));
  world.receive(kAccess, from_peer(s, sequence++, peer.seal(octets("0057 60000000 00003b40"))));
  world.run();
  const auto drops = world.drops();
  CHECK(drops.at("mppe_garbage") ==
        5);  // IPv6 without its whole header proves nothing behind a gap
  world.receive(kAccess, from_peer(s, sequence++, peer.seal(up_data(s))));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
}

TEST_CASE("pipeline: what is encrypted and not open goes to the control process",
          "[pipeline][mppe][rfc1661-5.7]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  (void)world.counted();
  Octets ipv6 = octets("0057 60000000 00003b40");
  ipv6.resize(42);
  const Octets ipx = concat({octets("002b ffff"), pattern(300)});
  world.receive(kAccess, from_peer(s, 0, peer.seal(ipv6)));
  world.receive(kAccess, from_peer(s, 1, peer.seal(ipx)));
  world.run();
  const auto out = world.control();
  REQUIRE(out.size() == 2);
  CHECK(hex(out[0].frame) == hex(ipv6));
  CHECK(hex(out[1].frame) == hex(Bytes(ipx).first(128)));
  world.command(s, WorkerCommandType::kCloseIpv4);
  world.receive(kAccess, from_peer(s, 2, peer.seal(up_data(s))));
  world.run();
  CHECK(world.drops() == Counts{{"network_not_open", 1}});
  CHECK(world.control().empty());
}

TEST_CASE("pipeline: anti-spoofing looks at what was decrypted",
          "[pipeline][mppe][conformance-55]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  const Subscriber other = world.add(3, true, true);
  world.arm(s);
  ArmedPeer peer;
  (void)world.counted();
  world.receive(kAccess, from_peer(s, 0, peer.seal(up_data(other))));
  world.run();
  CHECK(world.drops() == Counts{{"inner_source", 1}});
  CHECK(world.sent(kCore).empty());
}

TEST_CASE("pipeline: a forged packet far ahead, number and count, leaves the session whole",
          "[pipeline][mppe][conformance-31][conformance-51]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  world.receive(kAccess, from_peer(s, 0, peer.seal(up_data(s, 0))));
  world.run();
  for (const unsigned ahead : {2U, 50U, 64U, 65U, 500U, 2000U}) {
    Octets forged = octets("9000 5566778899aabbccddeeff00112233445566778899");
    put16(forged, 0, 0x9000 + ((1 + ahead) & 0xfff));
    world.receive(kAccess, from_peer(s, 1 + ahead * 1000, ppp("00fd", forged)));
  }
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  for (unsigned n = 1; n < 5; ++n)
    world.receive(kAccess, from_peer(s, n, peer.seal(up_data(s, n))));
  world.run();
  CHECK(world.sent(kCore).size() == 4);
}

TEST_CASE("pipeline: 3,000 late packets cost nothing", "[pipeline][mppe][conformance-52]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  std::vector<Octets> old;
  for (unsigned n = 0; n < 200; ++n) {
    old.push_back(from_peer(s, n, peer.seal(up_data(s, n))));
    world.receive(kAccess, old.back());
    if (n % 20 == 19) world.run();
  }
  (void)world.counted();
  (void)world.sent(kCore);
  for (unsigned n = 0; n < 3000; ++n) {
    world.receive(kAccess, old[n % 200]);
    if (n % 100 == 99) world.run();
  }
  auto counted = world.counted();
  CHECK(counted.at("drop gre_late") + counted.at("drop gre_duplicate") == 3000);
  CHECK(counted.count("mppe_key_steps") == 0);
  world.receive(kAccess, from_peer(s, 200, peer.seal(up_data(s, 200))));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
}

TEST_CASE("pipeline: forged stateful flushes are limited too", "[pipeline][mppe]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s, false);
  (void)world.counted();
  constexpr unsigned kRounds = 100;
  for (unsigned n = 0; n < kRounds * 100; ++n) {
    Octets forged = octets("9000 5566778899aabbccddeeff00112233445566778899");
    put16(forged, 0, 0x9000 + n % 64);
    world.receive(kAccess, from_peer(s, n, ppp("00fd", forged)));
    if (n % 100 != 99) continue;
    world.run();
    world.advance(1'000'000);
  }
  // The content of the bucket of short gaps, and its refill in 0.1 s.
  const std::uint64_t steps = world.counted().at("mppe_key_steps");
  CHECK(steps > 3'000);
  CHECK(steps <= 4'096 + 25 * kRounds);
}

TEST_CASE("pipeline: stateful loss asks the peer for a reset, a reset makes us flush",
          "[pipeline][mppe][rfc3078-8.2]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s, false);
  ArmedPeer peer(false);
  world.receive(kAccess, from_peer(s, 0, peer.seal(up_data(s, 0))));
  (void)peer.seal(up_data(s, 1));  // lost
  for (unsigned n = 2; n < 5; ++n)
    world.receive(kAccess, from_peer(s, n, peer.seal(up_data(s, n))));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  auto out = world.sent(kAccess);
  unsigned requests = 0;
  for (const auto& frame : out)
    requests += hex(frame).find("ff0380fd0e") != std::string::npos ? 1 : 0;
  CHECK(requests == 3);
  mppe::request_flush(peer.send);
  world.receive(kAccess, from_peer(s, 5, peer.seal(up_data(s, 5))));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  // The other way round.
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(8))));
  world.run();
  (void)world.sent(kAccess);  // lost
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(8))));
  world.run();
  out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(peer.open(out[0]) == "mppe_resync");
  world.receive(kAccess, from_peer(s, 6, ppp("80fd", octets("0e010004"))));
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(8))));
  world.run();
  CHECK(world.control().empty());
  out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  CHECK(hex(out[0]).find("ff0380fd0f010004") != std::string::npos);  // the Ack that Linux waits for
  CHECK(peer.open(out[1]).starts_with("002145"));
  // An Ack of the peer's ends here too, and ten requests a second are enough.
  world.receive(kAccess, from_peer(s, 7, ppp("80fd", octets("0f010004"))));
  (void)peer.seal(up_data(s, 6));  // lost
  for (unsigned n = 8; n < 60; ++n)
    world.receive(kAccess, from_peer(s, n, peer.seal(up_data(s, n))));
  world.run();
  CHECK(world.control().empty());
  CHECK(world.sent(kAccess).size() <= 6);
}

TEST_CASE("pipeline: a stateful packet that is far ahead stops no session, and a real loss ends",
          "[pipeline][mppe][conformance-31]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s, false);
  ArmedPeer peer(false);
  const auto requests = [&] {
    unsigned found = 0;
    for (const auto& frame : world.sent(kAccess))
      found += hex(frame).find("ff0380fd0e") != std::string::npos ? 1 : 0;
    return found;
  };
  world.receive(kAccess, from_peer(s, 0, peer.seal(up_data(s, 0))));
  // Behind a packet of the same burst, so that its count is judged after that one's.
  world.receive(kAccess, from_peer(s, 1, peer.seal(up_data(s, 1))));
  world.receive(kAccess,
                from_peer(s, 70'000, ppp("00fd", octets("1123 5566778899aabbccddeeff0011"))));
  world.receive(kAccess, from_peer(s, 2, peer.seal(up_data(s, 2))));
  world.run();
  CHECK(world.sent(kCore).size() == 3);
  CHECK(world.drops() == Counts{{"mppe_resync", 1}});
  CHECK(requests() == 1);
  // A jump of the peer's number alone loses nothing, whatever comes before it in its burst.
  for (unsigned n = 3; n < 5; ++n)
    world.receive(kAccess, from_peer(s, 200 * n, peer.seal(up_data(s, n))));
  world.run();
  CHECK(world.sent(kCore).size() == 2);
  // So many are lost that the first that arrives is far ahead: a flushed packet ends it.
  for (unsigned n = 5; n < 105; ++n) (void)peer.seal(up_data(s, n));
  world.receive(kAccess, from_peer(s, 1'000, peer.seal(up_data(s, 105))));
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(requests() == 1);
  mppe::request_flush(peer.send);
  for (unsigned n = 1; n < 4; ++n)
    world.receive(kAccess, from_peer(s, 1'000 + n, peer.seal(up_data(s, 105 + n))));
  world.run();
  CHECK(world.sent(kCore).size() == 3);
}

TEST_CASE("pipeline: disarmed, nothing passes where encryption is required",
          "[pipeline][mppe][conformance-50]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  ArmedPeer peer;
  world.command(s, WorkerCommandType::kDisarmMppe);
  world.run();
  (void)world.counted();
  world.receive(kAccess, from_peer(s, 0, peer.seal(up_data(s))));
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(8))));
  world.inject(s, "ff03 0021 45");
  world.run();
  CHECK(world.drops() == Counts{{"mppe_not_open", 1}, {"clear_text", 2}});
  CHECK(world.sent(kAccess).empty());
}
