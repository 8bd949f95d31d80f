// SPDX-License-Identifier: BSD-3-Clause
//
// Inner IPv6, both ways: what passes, what ends here, what is refused, and what is told to whom.
#include <catch2/catch.hpp>

#include "dataplane/session/session_commands.hpp"
#include "pns/mppe/mppe.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

constexpr std::string_view kAllRouters = "ff02::2";

Octets up(const Subscriber& s, std::size_t payload = 20, unsigned hops = 64,
          std::string_view destination = kServer6) {
  return ip6({.source = s.address6, .destination = destination, .hop_limit = hops},
             pattern(payload));
}
Octets down(const Subscriber& s, std::size_t payload = 20, unsigned hops = 64) {
  return ip6({.source = kServer6, .destination = s.address6, .hop_limit = hops}, pattern(payload));
}

// The PPP frame of a frame that was sent to a peer.
Octets ppp_of(const Octets& frame) {
  const unsigned flags = get16(frame, 34);
  const std::size_t at = 42 + ((flags & 0x1000) != 0 ? 4U : 0U) + ((flags & 0x80) != 0 ? 4U : 0U);
  return {frame.begin() + static_cast<long>(at), frame.end()};
}

// Type, code and 32 bits, then as much of the packet as 1,280 octets take.
Octets error(std::string_view destination, unsigned type, unsigned code, std::uint32_t rest,
             Bytes about) {
  Octets message(8);
  message[0] = static_cast<std::byte>(type);
  message[1] = static_cast<std::byte>(code);
  put32(message, 4, rest);
  const Bytes quoted = about.first(std::min<std::size_t>(about.size(), 1232));
  return icmp6({.source = kOurs6, .destination = destination}, concat({message, quoted}));
}

Octets echo(std::string_view source, std::string_view destination, unsigned type = 128,
            unsigned hops = 64) {
  Octets message = octets("8000 0000 1234 0001 6162636465");
  message[0] = static_cast<std::byte>(type);
  return icmp6({.source = source, .destination = destination, .hop_limit = hops}, message);
}

Octets syn6(const Ip6& header, std::string_view extension = "") {
  const Octets before = octets(extension);
  const Octets tcp = octets("0401 0050 00000001 00000000 6002 2000 0000 0000 020405b4");
  Ip6 outer = header;
  outer.next_header = before.empty() ? 6 : 0;
  return ip6(outer, concat({before, tcp}));
}

struct Ipv6World : World {
  Subscriber s;
  std::uint32_t sequence = 0;
  explicit Ipv6World(WorldOptions options = {}) : World(options), s(add(2)) {
    open_ipv6(s);
    (void)counted();
  }
  void send(Bytes packet) { receive(kAccess, from_peer(s, sequence++, ppp("0057", packet))); }
  // Sends one packet that must be dropped for the reason, and nothing come of it.
  void refused(const char* name, Bytes packet, const char* reason) {
    INFO(name);
    record(s).upstream.unacked_packets = 0;  // no acknowledgement beside it
    send(packet);
    run();
    CHECK(drops() == Counts{{reason, 1}});
    CHECK(sent(kAccess).empty());
    CHECK(sent(kCore).empty());
    CHECK(punted(kCore).empty());
    CHECK(control().empty());
  }
};

}  // namespace

TEST_CASE("ipv6: a clear packet reaches the core, whatever its PPP header", "[pipeline][ipv6]") {
  Ipv6World world;
  for (const char* header : {"ff030057", "0057", "ff0357", "57"}) {
    CAPTURE(header);
    // Padding behind the packet goes.
    world.receive(kAccess, from_peer(world.s, world.sequence++,
                                     concat({octets(header), up(world.s), pattern(3)})));
    world.run();
    const auto out = world.sent(kCore);
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0]) == hex(to_core6(up(world.s, 20, 63))));
  }
  CHECK(world.counted() ==
        Counts{{"access_rx", 4}, {"core_tx", 4}, {"upstream_packets", 4}, {"upstream_bytes", 240}});
  CHECK(world.record(world.s).upstream.packets.get() == 4);
  CHECK(world.record(world.s).upstream.bytes.get() == 240);
}

TEST_CASE("ipv6: a packet for a subscriber goes into the tunnel", "[pipeline][ipv6]") {
  Ipv6World world;
  Octets frame = from_core6(down(world.s));
  frame.resize(frame.size() + 6);  // Ethernet padding
  world.receive(kCore, frame);
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_peer(world.s, 0, 0, ppp("0057", down(world.s, 20, 63)))));
  CHECK(world.counted() ==
        Counts{
            {"core_rx", 1}, {"access_tx", 1}, {"downstream_packets", 1}, {"downstream_bytes", 60}});
  // Any address of the /64, and as short a header as the peer agreed to.
  world.record(world.s).flags.fetch_or(contract::kFlagSendPfc | contract::kFlagSendAcfc);
  const Octets other =
      ip6({.source = kServer6, .destination = "2001:db8:64:2:ffff::1"}, pattern(8));
  world.receive(kCore, from_core6(other));
  world.run();
  out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(ppp_of(out[0])).starts_with("576"));
}

TEST_CASE("ipv6: encrypted both ways", "[pipeline][ipv6][mppe]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.open_ipv6(s);
  world.arm(s);
  ArmedPeer peer;
  for (unsigned n = 0; n < 40; ++n) {
    world.receive(kAccess, from_peer(s, n, peer.seal(concat({octets("0057"), up(s, 20 + n)}))));
    world.receive(kCore, from_core6(down(s, 30 + n)));
    world.run();
    const auto out = world.sent(kCore);
    REQUIRE(out.size() == 1);
    REQUIRE(hex(out[0]) == hex(to_core6(up(s, 20 + n, 63))));
    const auto back = world.sent(kAccess);
    REQUIRE(back.size() == 1);
    REQUIRE(peer.open(back[0]) == "0057" + hex(down(s, 30 + n, 63)));
  }
  // A packet of the control process on the network protocol is encrypted too: a Router
  // Advertisement.
  world.inject(s, "ff03 0057 6000 0000 0000 3aff");
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(peer.open(out[0]) ==
        "0057600000000000"
        "3aff");
  // In the clear nothing goes, either way.
  (void)world.counted();
  world.receive(kAccess, from_peer(s, 40, ppp("0057", up(s))));
  world.command(s, WorkerCommandType::kDisarmMppe);
  world.run();
  world.receive(kAccess, from_peer(s, 41, ppp("0057", up(s))));
  world.receive(kCore, from_core6(down(s)));
  world.inject(s, "ff03 0057 60");
  world.run();
  CHECK(world.drops() == Counts{{"clear_text", 4}});
  CHECK(world.sent(kAccess).empty());
}

TEST_CASE("ipv6: an injected Router Advertisement leaves in the clear where nothing is encrypted",
          "[pipeline][ipv6]") {
  Ipv6World world;
  world.inject(world.s, "ff03 0057 6000 0000 0000 3aff");
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_peer(world.s, 0, 0, ppp("0057", octets("6000 0000 0000 3aff")))));
}

TEST_CASE("ipv6: inner packets that are refused", "[pipeline][ipv6][rfc8200-3][rfc2827]") {
  Ipv6World world;
  const Octets good = up(world.s);
  const auto with = [&](std::size_t at, unsigned value) {
    Octets packet = good;
    packet[at] = static_cast<std::byte>(value);
    return packet;
  };
  world.refused("39 octets", Bytes(good).first(39), "inner_truncated");
  world.refused("no octets", {}, "inner_truncated");
  world.refused("version 4", with(0, 0x45), "inner_version");
  world.refused("Payload Length beyond the packet", with(5, 21), "inner_header");
  world.refused("Payload Length 65535", with(4, 0xff), "inner_header");
  Octets jumbo = ip6({.source = world.s.address6, .destination = kServer6, .next_header = 0},
                     octets("3b00 c204 00010000"));
  put16(jumbo, 4, 0);
  world.refused("a jumbogram", jumbo, "inner_header");
  for (const char* source : {"2001:db8:64:3::7", "2001:db8:c::9", "::1", "::", "fe80::a:b:c:d",
                             "fe80::7", "ff02::1", "::ffff:10.64.0.2", "2001:db8:64:200::2"})
    world.refused(source, ip6({.source = source, .destination = kServer6}, pattern(8)),
                  "inner_source");
  for (const char* source : {"2001:db8:64:3::7", "::1", "::", "fe80::7", "ff02::1"})
    world.refused(source, ip6({.source = source, .destination = kOurLink}, pattern(8)),
                  "inner_source");
  for (const char* source : {"2001:db8:64:3::7", "::1", "fe80::7", "ff02::1"})
    world.refused(source, ip6({.source = source, .destination = kAllRouters}, pattern(8)),
                  "inner_source");
  for (const char* destination :
       {"::", "::1", "::10.0.0.9", "::ffff:10.0.0.9", "ff01::1", "ff03::1", "ff05::2", "ff0e::1",
        "ff3e:30:2001:db8::1", "ff00::1", "fe80::7", "fe80::a:b:c:d"})
    world.refused(destination, up(world.s, 8, 64, destination), "inner_destination");
  CHECK(world.record(world.s).upstream.packets.get() == 0);
}

TEST_CASE("ipv6: nothing goes back onto the link it came from", "[pipeline][ipv6][rfc4443-3.1]") {
  Ipv6World world;
  const Octets packet = up(world.s, 20, 64, "2001:db8:64:2::beef");
  world.send(packet);
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(ppp_of(out[0])) == hex(ppp("0057", error(world.s.address6, 1, 3, 0, packet))));
  CHECK(world.drops() == Counts{{"inner_destination", 1}});
}

TEST_CASE("ipv6: a Router Solicitation goes to the control process, a wrong one nowhere",
          "[pipeline][ipv6][rfc4861-6.1.1]") {
  Ipv6World world;
  const auto solicit = [&](std::string_view source, std::string_view message, unsigned hops = 255) {
    return icmp6({.source = source, .destination = kAllRouters, .hop_limit = hops},
                 octets(message));
  };
  for (const std::string_view source : {kPeerLink, std::string_view(world.s.address6)}) {
    const Octets packet = solicit(source, "8500 0000 00000000");
    world.send(concat({packet, pattern(4)}));  // padding
    world.run();
    const auto out = world.control();
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0].frame) == "0057" + hex(packet));
    CHECK(out[0].slot == world.s.slot());
  }
  world.send(solicit("::", "8500 0000 00000000"));
  world.send(solicit(kPeerLink, "8500 0000 00000000 0101 020304050607"));
  world.run();
  CHECK(world.control().size() == 2);
  CHECK(world.drops().empty());

  Octets sum = solicit(kPeerLink, "8500 0000 00000000");
  sum[43] ^= std::byte{1};
  world.refused("hop limit", solicit(kPeerLink, "8500 0000 00000000", 254), "nd_invalid");
  world.refused("checksum", sum, "nd_invalid");
  world.refused("code", solicit(kPeerLink, "8501 0000 00000000"), "nd_invalid");
  world.refused("short", solicit(kPeerLink, "8500 0000 000000"), "nd_invalid");
  world.refused("an option of length 0", solicit(kPeerLink, "8500 0000 00000000 0100 000000000000"),
                "nd_invalid");
  world.refused("an option over the end", solicit(kPeerLink, "8500 0000 00000000 0102 00"),
                "nd_invalid");
  world.refused("half an option", solicit(kPeerLink, "8500 0000 00000000 01"), "nd_invalid");
  world.refused("a link address from nobody", solicit("::", "8500 0000 00000000 0101 020304050607"),
                "nd_invalid");

  (void)world.counted();
  for (unsigned n = 0; n < 150; ++n) world.send(solicit(kPeerLink, "8500 0000 00000000"));
  world.run();
  CHECK(world.counted().at("drop punt_policed") >= 50);
}

TEST_CASE("ipv6: DHCPv6 for a server goes to the control process, other datagrams nowhere",
          "[pipeline][ipv6][rfc8415]") {
  Ipv6World world;
  const auto datagram = [](std::string_view destination, unsigned port,
                           std::string_view source = kPeerLink) {
    Octets udp = octets("0222 0000 000c 0000 0b123456");
    put16(udp, 2, port);
    return ip6({.source = source, .destination = destination, .next_header = 17, .hop_limit = 1},
               udp);
  };
  for (const std::string_view destination : {std::string_view("ff02::1:2"), kOurLink}) {
    const Octets packet = datagram(destination, 547);
    world.send(packet);
    world.run();
    const auto out = world.control();
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0].frame) == "0057" + hex(packet));
    CHECK(out[0].slot == world.s.slot());
  }
  CHECK(world.drops().empty());
  // Other groups and ports end here; another host's link-local source is refused.
  world.send(datagram("ff02::1:2", 546));
  world.send(datagram("ff02::1", 547));
  world.run();
  CHECK(world.control().empty());
  CHECK(world.drops().empty());
  world.refused("port", datagram(kOurLink, 53), "inner_destination");
  world.refused("source", datagram("ff02::1:2", 547, "fe80::bad"), "inner_source");
  world.refused("site", datagram("ff05::1:3", 547), "inner_destination");
  // Within the rate of the session for control frames.
  (void)world.counted();
  for (unsigned n = 0; n < 150; ++n) world.send(datagram("ff02::1:2", 547));
  world.run();
  CHECK(world.counted().at("drop punt_policed") >= 50);
}

TEST_CASE("ipv6: without a control process solicitations are dropped", "[pipeline][ipv6]") {
  Ipv6World world({.control_attached = false});
  world.refused("RS",
                icmp6({.source = kPeerLink, .destination = kAllRouters, .hop_limit = 255},
                      octets("8500 0000 00000000")),
                "punt_no_control");
}

TEST_CASE("ipv6: our address on the link is there to be found", "[pipeline][ipv6][rfc4861-7.2.4]") {
  Ipv6World world;
  const Octets ours = address6(kOurLink);
  const auto solicit = [&](std::string_view source, std::string_view destination, Bytes target,
                           std::string_view options = "", unsigned hops = 255) {
    return icmp6({.source = source, .destination = destination, .hop_limit = hops},
                 concat({octets("8700 0000 00000000"), target, octets(options)}));
  };
  for (const std::string_view destination : {std::string_view("ff02::1:ff03:4"), kOurLink})
    for (const std::string_view source : {kPeerLink, std::string_view(world.s.address6)}) {
      world.send(solicit(source, destination, ours, "0101 020304050607"));
      world.run();
      const auto out = world.sent(kAccess);
      REQUIRE(out.size() == 1);
      CHECK(hex(ppp_of(out[0])) ==
            hex(ppp("0057", icmp6({.source = kOurLink, .destination = source, .hop_limit = 255},
                                  concat({octets("8800 0000 c0000000"), ours})))));
    }
  // Duplicate address detection and other targets: silence.
  (void)world.counted();
  world.send(solicit("::", "ff02::1:ff03:4", ours));
  world.send(solicit("::", "ff02::1:ff00:7", address6(world.s.address6)));
  world.send(solicit(kPeerLink, "ff02::1:ff00:9", address6("fe80::9")));
  world.run();
  CHECK(world.counted() == Counts{{"access_rx", 3}, {"consumed", 3}});
  CHECK(world.sent(kAccess).empty());

  world.refused("hop limit", solicit(kPeerLink, kOurLink, ours, "", 64), "nd_invalid");
  world.refused("short", solicit(kPeerLink, kOurLink, Bytes(ours).first(15)), "nd_invalid");
  world.refused("target is a group", solicit(kPeerLink, kOurLink, address6("ff02::1")),
                "nd_invalid");
  world.refused("from nobody to all", solicit("::", "ff02::1", ours), "nd_invalid");
}

TEST_CASE("ipv6: other link-local groups are silence", "[pipeline][ipv6]") {
  Ipv6World world;
  // MLDv2 with its router alert, mDNS, a ping to all nodes, a forged Router Advertisement.
  world.send(ip6({.source = "::", .destination = "ff02::16", .next_header = 0, .hop_limit = 1},
                 octets("3a00 0502 0000 0100 8f00 0000 0000 0000")));
  world.send(ip6({.source = kPeerLink, .destination = "ff02::fb"}, pattern(30)));
  world.send(echo(kPeerLink, "ff02::1"));
  world.send(echo(kPeerLink, "ff02::1", 134, 255));
  world.run();
  CHECK(world.counted() == Counts{{"access_rx", 4}, {"consumed", 4}});
  CHECK(world.sent(kAccess).empty());
  CHECK(world.control().empty());
}

TEST_CASE("ipv6: a ping to one of our own addresses is answered down the same session",
          "[pipeline][ipv6]") {
  Ipv6World world;
  struct Case {
    std::string_view source, ours;
  };
  for (const Case& c :
       {Case{kPeerLink, kOurLink}, Case{world.s.address6, kOurLink}, Case{world.s.address6, kOurs6},
        Case{world.s.address6, "2001:db8:64:2::"}}) {
    CAPTURE(c.ours);
    world.send(echo(c.source, c.ours, 128, 1));
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    CHECK(hex(ppp_of(out[0])) == hex(ppp("0057", echo(c.ours, c.source, 129))));
  }
  const auto counted = world.counted();
  CHECK(counted.at("upstream_packets") == 4);
  CHECK(counted.at("downstream_packets") == 4);
  world.refused("UDP to our link address",
                ip6({.source = kPeerLink, .destination = kOurLink}, pattern(8)),
                "inner_destination");
  world.refused("UDP to the subnet-router address", up(world.s, 8, 64, "2001:db8:64:2::"),
                "inner_destination");
  // A packet for the server itself that is no ping is the kernel's, also with hop limit 1.
  world.send(up(world.s, 20, 1, kOurs6));
  world.run();
  const auto out = world.to_services();
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(up(world.s, 20, 1, kOurs6)));
}

TEST_CASE("ipv6: expired and unroutable packets are reported to the subscriber",
          "[pipeline][ipv6][rfc4443-3.1][rfc4443-3.3]") {
  Ipv6World world;
  const Octets dying = up(world.s, 20, 1);
  world.send(dying);
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(ppp_of(out[0])) == hex(ppp("0057", error(world.s.address6, 3, 0, 0, dying))));
  const Octets lost = up(world.s, 1300, 64, "2001:db8:dead::1");
  world.send(lost);
  world.run();
  out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  const Octets reported = ppp_of(out[0]);
  CHECK(reported.size() == 4 + 1280);
  CHECK(hex(reported) == hex(ppp("0057", error(world.s.address6, 1, 0, 0, lost))));
  const auto counted = world.counted();
  CHECK(counted.at("drop ttl_expired") == 1);
  CHECK(counted.at("drop no_route") == 1);
  CHECK(counted.at("generated") == 2);
}

TEST_CASE("ipv6: errors are limited and never about errors", "[pipeline][ipv6][rfc4443-2.4]") {
  Ipv6World world;
  for (unsigned n = 0; n < 30; ++n) world.send(up(world.s, 8, 1));
  world.run();
  CHECK(world.counted().at("generated") == 20);
  world.advance(1'000'000'000);
  world.run();
  (void)world.counted();
  for (const unsigned type : {1U, 2U, 3U, 4U, 127U, 137U})
    world.send(echo(world.s.address6, kServer6, type, 1));
  // An error behind an extension header, a later fragment of one, and a walk that does not end.
  const Ip6 hidden{
      .source = world.s.address6, .destination = kServer6, .next_header = 60, .hop_limit = 1};
  world.send(ip6(hidden, octets("3a00 010400000000 0100 0000 00000000")));
  Ip6 fragment = hidden;
  fragment.next_header = 44;
  world.send(ip6(fragment, octets("3a00 0010 00000001 80000000")));
  std::string many;
  for (unsigned n = 0; n < 9; ++n) many += "3c00 010400000000 ";
  world.send(ip6(hidden, octets(many + "1100 0000")));
  world.run();
  auto counted = world.counted();
  CHECK(counted.at("drop ttl_expired") == 9);
  CHECK(counted.count("generated") == 0);
  // But about an Echo Request and a later fragment of UDP.
  world.send(echo(world.s.address6, kServer6, 128, 1));
  world.send(ip6(fragment, octets("1100 0010 00000001 80000000")));
  world.run();
  counted = world.counted();
  CHECK(counted.at("generated") == 2);
}

TEST_CASE("ipv6: what is too big is reported, never cut", "[pipeline][ipv6][rfc8200-5]") {
  Ipv6World world;
  const Octets big = down(world.s, 1361);  // 1,401 octets
  world.receive(kCore, from_core6(down(world.s, 1360)));
  world.receive(kCore, from_core6(big));
  world.run();
  CHECK(world.sent(kAccess).size() == 1);
  const auto out = world.sent(kCore);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_core6(error(kServer6, 2, 0, 1400, down(world.s, 1361, 63)))));
  for (unsigned n = 0; n < 25; ++n) world.receive(kCore, from_core6(big));
  world.run();
  auto counted = world.counted();
  CHECK(counted.at("drop too_big") == 20);
  CHECK(counted.at("drop too_big_unreported") == 6);
  CHECK(world.record(world.s).downstream.drops.get() == 26);
  // 1,280 octets always pass, whatever was agreed.
  world.record(world.s).inner_mtu = 600;
  world.receive(kCore, from_core6(down(world.s, 1240)));
  world.run();
  CHECK(world.sent(kAccess).size() == 1);
}

TEST_CASE("ipv6: a subscriber's packet beyond the core's MTU is reported", "[pipeline][ipv6]") {
  Ipv6World world({.mtu = 1400});
  const Octets big = up(world.s, 1380);
  world.send(up(world.s, 1360));
  world.send(big);
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  Octets about = big;
  about[7] = std::byte{63};
  CHECK(hex(ppp_of(out[0])) == hex(ppp("0057", error(world.s.address6, 2, 0, 1400, about))));
  CHECK(world.drops() == Counts{{"too_big", 1}});
}

TEST_CASE("ipv6: an expired packet from the core is reported to its sender", "[pipeline][ipv6]") {
  Ipv6World world;
  world.receive(kCore, from_core6(down(world.s, 20, 1)));
  world.run();
  const auto out = world.sent(kCore);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_core6(error(kServer6, 3, 0, 0, down(world.s, 20, 1)))));
  CHECK(world.counted().at("drop ttl_expired") == 1);
}

TEST_CASE("ipv6: the MSS of SYNs is lowered both ways, behind extension headers too",
          "[pipeline][ipv6][rfc4459]") {
  Ipv6World world;
  const Ip6 upward{.source = world.s.address6, .destination = kServer6};
  const Ip6 downward{.source = kServer6, .destination = world.s.address6};
  world.send(syn6(upward));
  world.send(syn6(upward, "0600 010400000000"));
  world.receive(kCore, from_core6(syn6(downward)));
  world.run();
  auto out = world.sent(kCore);
  REQUIRE(out.size() == 2);
  CHECK(get16(out[0], 14 + 40 + 22) == 1340);  // 1400 - 60
  CHECK(get16(out[1], 14 + 40 + 8 + 22) == 1340);
  out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(get16(ppp_of(out[0]), 4 + 40 + 22) == 1340);
}

TEST_CASE("ipv6: a session's rate, both ways and both families together", "[pipeline][ipv6]") {
  Ipv6World world;
  // 10,000 octets at once.
  dataplane::set_service(
      world.record(world.s),
      {.rates = {.upstream = {800'000, 10'000}, .downstream = {800'000, 10'000}}, .filters = {}});
  for (unsigned n = 0; n < 30; ++n) {
    world.send(up(world.s, 460));
    world.receive(kCore, from_core6(down(world.s, 460)));
  }
  world.run();
  CHECK(world.sent(kCore).size() == 20);
  CHECK(world.drops() == Counts{{"rate_limited", 20}});
  world.receive(kAccess,
                from_peer(world.s, world.sequence++,
                          ppp("0021", ip({.source = world.s.address, .destination = kServer},
                                         pattern(480)))));
  world.run();
  CHECK(world.drops() == Counts{{"rate_limited", 1}});
}

TEST_CASE("ipv6: a next hop without MAC goes to main and comes back", "[pipeline][ipv6]") {
  Ipv6World world;
  world.send(up(world.s, 20, 64, "2001:db8:99::7"));
  world.send(up(world.s, 20, 64, "2001:db8:a8::7"));
  world.run();
  auto wanted = world.resolves();
  REQUIRE(wanted.size() == 2);
  std::swap(wanted[0], wanted[1]);  // gateways have a ring of their own
  CHECK(wanted[0].next_hop == *Ipv6Address::parse("2001:db8:99::7"));
  CHECK(wanted[1].next_hop == *Ipv6Address::parse("fe80::fe"));
  CHECK(hex(wanted[0].frame) ==
        hex(ethernet("000000000000", kCoreMac, 0x86dd, up(world.s, 20, 63, "2001:db8:99::7"))));
  const Octets mac = octets("0200000000aa");
  std::copy(mac.begin(), mac.end(), wanted[0].frame.begin());
  world.send_frame(kCore, wanted[0].frame);
  world.run();
  CHECK(world.sent(kCore) == std::vector<Octets>{wanted[0].frame});
}

TEST_CASE("ipv6: everything else on the core port is the kernel's", "[pipeline][ipv6]") {
  Ipv6World world;
  const Octets advertisement =
      ethernet("333300000001", kCoreRouterMac, 0x86dd, echo("fe80::fe", "ff02::1", 134, 255));
  const Octets solicitation = from_core6(echo("fe80::fe", kOurs6, 135, 255));
  const Octets nobody =
      from_core6(ip6({.source = kServer6, .destination = "2001:db8:64:9::1"}, {}));
  for (const Octets& frame : {advertisement, solicitation, nobody}) world.receive(kCore, frame);
  const Octets access = ethernet(kAccessMac, kAccessRouterMac, 0x86dd, down(world.s));
  world.receive(kAccess, access);  // not from there
  world.run();
  CHECK(world.punted(kCore) == std::vector<Octets>{advertisement, solicitation, nobody});
  CHECK(world.punted(kAccess) == std::vector<Octets>{access});
  // The kernel's packets to a subscriber go into the tunnel, the rest out of the port.
  (void)world.counted();
  world.from_twin(kCore, ethernet("020000000099", kCoreMac, 0x86dd, down(world.s)));
  world.from_twin(kCore, advertisement);
  world.run();
  CHECK(world.sent(kCore) == std::vector<Octets>{advertisement});
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(ppp_of(out[0])) == hex(ppp("0057", down(world.s, 20, 63))));
}

TEST_CASE("ipv6: frames from the core that are refused", "[pipeline][ipv6]") {
  Ipv6World world({.twins = false});
  const auto refused = [&](const char* name, Bytes packet, const char* reason) {
    INFO(name);
    world.receive(kCore, from_core6(packet));
    world.run();
    CHECK(world.drops() == Counts{{reason, 1}});
    CHECK(world.sent(kAccess).empty());
    CHECK(world.sent(kCore).empty());
  };
  const Octets good = down(world.s);
  Octets version = good;
  version[0] = std::byte{0x45};
  Octets length = good;
  length[5] = std::byte{21};
  refused("truncated", Bytes(good).first(39), "frame_truncated");
  refused("version", version, "ip_version");
  refused("length", length, "ip_total_length");
  refused("nobody's", ip6({.source = kServer6, .destination = "2001:db8:64:9::1"}, {}),
          "no_session");
  for (const char* source : {"fe80::fe", "::", "::1", "ff0e::1"})
    refused(source, ip6({.source = source, .destination = world.s.address6}, {}), "inner_scope");
}

TEST_CASE("ipv6: subscribers reach each other, over workers too", "[pipeline][ipv6][handover]") {
  for (const std::uint16_t workers : {std::uint16_t{1}, std::uint16_t{2}}) {
    World world({.workers = workers});
    const Subscriber a = world.add(2);
    const Subscriber b = world.add(3);
    world.open_ipv6(a);
    world.open_ipv6(b);
    (void)world.counted();
    const Octets packet = up(a, 20, 64, b.address6);
    world.receive(kAccess, from_peer(a, 0, ppp("0057", packet)), 0);
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0]) == hex(to_peer(b, 0, 0, ppp("0057", up(a, 20, 63, b.address6)))));
    const auto counted = world.counted();
    CHECK(counted.at("upstream_packets") == 1);
    CHECK(counted.at("downstream_packets") == 1);
    CHECK(counted.count("handed_out") == (workers == 2 ? 1 : 0));
  }
}

TEST_CASE("ipv6: packets reach their owner from any queue, in order",
          "[pipeline][ipv6][handover]") {
  World world({.workers = 2});
  const Subscriber even = world.add(2);
  const Subscriber odd = world.add(3);
  world.open_ipv6(even);
  world.open_ipv6(odd);
  (void)world.counted();
  for (std::uint32_t n = 0; n < 20; ++n)
    for (const Subscriber* s : {&even, &odd}) {
      world.receive(kAccess, from_peer(*s, n, ppp("0057", up(*s))), 0);
      world.receive(kCore, from_core6(down(*s)), 1);
    }
  world.run();
  CHECK(world.sent(kCore).size() == 40);
  std::map<unsigned, std::uint32_t> next;
  for (const Octets& frame : world.sent(kAccess)) {
    if ((get16(frame, 34) & 0x1000) == 0) continue;
    CHECK(get32(frame, 42) == next[get16(frame, 40)]++);
  }
  CHECK(next == std::map<unsigned, std::uint32_t>{{even.peer_call(), 20}, {odd.peer_call(), 20}});
  const auto counted = world.counted();
  CHECK(counted.at("handed_out") == 40);
  CHECK(counted.at("handed_in") == 40);
}

TEST_CASE("ipv6: both families in one burst keep their order", "[pipeline][ipv6]") {
  Ipv6World world;
  std::string families;
  for (unsigned n = 0; n < 32; ++n) {
    if (n % 3 == 0) {
      world.receive(kCore, from_core6(down(world.s)));
      families += '6';
    } else {
      world.receive(kCore,
                    from_core(ip({.source = kServer, .destination = world.s.address}, pattern(8))));
      families += '4';
    }
  }
  world.run();
  std::string got;
  for (const Octets& frame : world.sent(kAccess))
    got += hex(ppp_of(frame)).starts_with("ff030057") ? '6' : '4';
  CHECK(got == families);
}

TEST_CASE("ipv6: opened and closed by command, and there again after a restart",
          "[pipeline][ipv6][restart]") {
  Ipv6World world;
  world.restart(2);
  world.receive(kCore, from_core6(down(world.s)));
  world.send(up(world.s));
  world.run();
  CHECK(world.sent(kAccess).size() == 1);
  CHECK(world.sent(kCore).size() == 1);
  (void)world.counted();
  REQUIRE(world.routing().inner.delete_route(Ipv6Prefix{{world.s.prefix(), 0}, 64}));
  world.command(world.s, WorkerCommandType::kCloseIpv6);
  world.run();
  world.receive(kCore, from_core6(down(world.s)));
  world.run();
  CHECK(world.punted(kCore).size() == 1);  // nobody's prefix any more
  world.record(world.s).ipv6_prefix = world.s.prefix();
  world.receive(kCore, from_core6(down(world.s)));
  world.run();
  CHECK(world.drops() == Counts{{"network_not_open", 1}});
  world.send(up(world.s));
  world.run();
  CHECK(world.control().size() == 1);
}
