// SPDX-License-Identifier: BSD-3-Clause
#include <catch2/catch.hpp>

#include "dataplane/routing/mapped_address.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

Octets data(const Subscriber& s, unsigned id = 0, unsigned ttl = 64,
            std::string_view destination = kServer) {
  return ip({.source = s.address, .destination = destination, .ttl = ttl, .id = id}, pattern(20));
}

}  // namespace

TEST_CASE("pipeline: a clear packet reaches the core, whatever its PPP header", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  std::uint32_t sequence = 0;
  for (const char* header : {"ff030021", "0021", "ff0321", "21"}) {
    CAPTURE(header);
    world.receive(kAccess, from_peer(s, sequence++, concat({octets(header), data(s)})));
    world.run();
    const auto out = world.sent(kCore);
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0]) == hex(to_core(data(s, 0, 63))));
  }
  CHECK(world.counted() ==
        Counts{{"access_rx", 4}, {"core_tx", 4}, {"upstream_packets", 4}, {"upstream_bytes", 160}});
  const auto& up = world.record(s).upstream;
  CHECK(up.packets.get() == 4);
  CHECK(up.bytes.get() == 160);
  CHECK(up.gre_packets.get() == 4);
  CHECK(up.gre_bytes.get() == 4 * (20 + 12 + 40) + 4 + 2 + 3 + 1);
  CHECK(up.last_receive_ns.load() == world.now_ns());
}

TEST_CASE("pipeline: padding behind IPv4, GRE and the inner packet goes", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  Octets frame = from_peer(s, 0, concat({octets("ff030021"), data(s), pattern(5)}));
  frame.resize(frame.size() + 9);
  world.receive(kAccess, frame);
  world.run();
  const auto out = world.sent(kCore);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_core(data(s, 0, 63))));
}

TEST_CASE("pipeline: each sequence number at most once, in order",
          "[pipeline][rfc2637-4.3][conformance-30]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  for (const std::uint32_t sequence : {5U, 6U, 6U, 9U, 7U, 8U, 10U, 5U, 10U})
    world.receive(kAccess, from_peer(s, sequence, ppp("0021", data(s, sequence))));
  world.run();
  std::vector<unsigned> ids;
  for (const auto& frame : world.sent(kCore)) ids.push_back(get16(frame, 18));
  CHECK(ids == std::vector<unsigned>{5, 6, 9, 10});
  CHECK(world.counted() == Counts{{"access_rx", 9},
                                  {"core_tx", 4},
                                  {"upstream_packets", 4},
                                  {"upstream_bytes", 160},
                                  {"sequence_gaps", 2},
                                  {"drop gre_duplicate", 2},
                                  {"drop gre_late", 3}});
}

TEST_CASE("pipeline: the sequence number wraps", "[pipeline][conformance-32]") {
  World world;
  const Subscriber s = world.add(2);
  for (const std::uint32_t sequence : {0xfffffffeU, 0xffffffffU, 0U, 1U})
    world.receive(kAccess, from_peer(s, sequence, ppp("0021", data(s))));
  world.run();
  CHECK(world.sent(kCore).size() == 4);
}

TEST_CASE("pipeline: a forged number far ahead does not lock the peer out",
          "[pipeline][conformance-31]") {
  World world;
  const Subscriber s = world.add(2);
  world.receive(kAccess, from_peer(s, 10, ppp("0021", data(s, 1))));
  world.receive(kAccess, from_peer(s, 0x40000000, ppp("0021", data(s, 2))));
  world.receive(kAccess, from_peer(s, 11, ppp("0021", data(s, 3))));
  world.receive(kAccess, from_peer(s, 12, ppp("0021", data(s, 4))));
  world.run();
  CHECK(world.sent(kCore).size() == 4);
  CHECK(world.record(s).upstream.highest_sequence.load() == 12);
}

TEST_CASE("pipeline: ack-only packets end here", "[pipeline][rfc2637-4.2][conformance-33]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).downstream.next_sequence = 100;
  (void)world.counted();
  const auto& up = world.record(s).upstream;
  world.receive(kAccess, from_peer(s, {}, {}, 42));
  world.run();
  CHECK(up.highest_ack_received == 42);
  CHECK_FALSE(up.sequence_started);
  world.receive(kAccess, from_peer(s, {}, {}, 40));   // old
  world.receive(kAccess, from_peer(s, {}, {}, 100));  // never sent
  world.receive(kAccess, from_peer(s, {}, {}, 0x80000000));
  world.receive(kAccess, from_peer(s, {}, {}));  // neither S nor A
  world.run();
  CHECK(up.highest_ack_received == 42);
  CHECK(world.counted() == Counts{{"access_rx", 5}, {"consumed", 5}, {"acks_received", 1}});
  CHECK(world.sent(kAccess).empty());
}

TEST_CASE("pipeline: what is owed is acknowledged within 100 ms", "[pipeline][rfc2637-4.4]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kAccess, from_peer(s, 7, ppp("0021", data(s))));
  world.run();
  CHECK(world.sent(kAccess).empty());
  world.advance(100'000'000);
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_peer(s, 0, {}, {}, 7)));
  world.advance(500'000'000);
  world.run();
  CHECK(world.sent(kAccess).empty());
  CHECK(world.record(s).downstream.next_sequence == 0);  // an ack alone takes no number
  const auto counted = world.counted();
  CHECK(counted.at("acks_sent") == 1);
  CHECK(counted.at("generated") == 1);
}

TEST_CASE("pipeline: a delayed ack is never later than 100 ms, however the timer was armed",
          "[pipeline][rfc2637-4.4]") {
  World world;
  const Subscriber s = world.add(2);
  const Octets down = from_core(ip({.source = kServer, .destination = s.address}, pattern(8)));
  std::uint32_t sequence = 0;
  for (unsigned offset = 0; offset < 60; offset += 3) {
    world.receive(kAccess, from_peer(s, sequence++, ppp("0021", data(s))));
    world.run();
    world.advance(offset * 1'000'000);
    world.receive(kCore, down);  // takes the ack along
    world.run();
    (void)world.sent(kAccess);
    world.receive(kAccess, from_peer(s, sequence++, ppp("0021", data(s))));
    world.run();
    unsigned waited = 0;
    while (world.sent(kAccess).empty() && waited < 200) {
      world.advance(1'000'000);
      world.run();
      ++waited;
    }
    CAPTURE(offset);
    CHECK(waited <= 100);
  }
}

TEST_CASE("pipeline: half a window unacknowledged is acknowledged at once",
          "[pipeline][rfc2637-4.4]") {
  World world;
  const Subscriber s = world.add(2);
  for (std::uint32_t n = 0; n < 32; ++n)
    world.receive(kAccess, from_peer(s, n, ppp("0021", data(s))));
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_peer(s, 0, {}, {}, 31)));
  CHECK_FALSE(world.record(s).ack_pending);
}

TEST_CASE("pipeline: LCP Echo-Request is answered here", "[pipeline][rfc1661-5.8]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  // 4 octets of data, 3 of padding.
  world.receive(kAccess,
                from_peer(s, 0, ppp("c021", octets("09 55 000c 0a0b0c0d cafebabe 000000"))));
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) ==
        hex(to_peer(s, 0, 0, ppp("c021", octets("0a 55 000c 11223344 cafebabe")), 0)));
  CHECK(world.control().empty());
  const auto counted = world.counted();
  CHECK(counted.at("consumed") == 1);
  CHECK(counted.at("generated") == 1);
}

TEST_CASE("pipeline: LCP Discard-Request is silence, Echo with our own magic is not ours to judge",
          "[pipeline][rfc1661-5.9][conformance-42]") {
  World world;
  const Subscriber s = world.add(2);
  world.receive(kAccess, from_peer(s, 0, ppp("c021", octets("0b01000800000001"))));
  world.run();
  CHECK(world.control().empty());
  CHECK(world.sent(kAccess).empty());
  world.receive(kAccess, from_peer(s, 1, ppp("c021", octets("0901000811223344"))));
  world.run();
  CHECK(world.control().size() == 1);
  CHECK(world.sent(kAccess).empty());
  const Subscriber closed = world.add(3, false);
  world.receive(kAccess, from_peer(closed, 0, ppp("c021", octets("0901000800000001"))));
  world.run();
  CHECK(world.control().size() == 1);
}

TEST_CASE("pipeline: control frames go to the control process from the Protocol field on",
          "[pipeline][rfc1661-2]") {
  World world;
  const Subscriber s = world.add(2, false, true);
  (void)world.counted();
  std::uint32_t sequence = 0;
  struct Case {
    const char* in;
    const char* out;
  };
  for (const Case& c :
       {Case{"ff03 c021 01010004", "c02101010004"}, Case{"c021 01010004", "c02101010004"},
        Case{"ff03 c223 020a", "c223020a"}, Case{"80fd 01", "80fd01"}, Case{"8021 01", "802101"},
        Case{"ff03 c227", "c227"}, Case{"ff03 8057 11", "805711"}, Case{"4003 aa", "4003aa"}}) {
    CAPTURE(c.in);
    world.receive(kAccess, from_peer(s, sequence++, octets(c.in)));
    world.run();
    const auto out = world.control();
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0].frame) == c.out);
    CHECK(out[0].slot == s.slot());
    CHECK(out[0].generation == s.generation);
  }
  CHECK(world.counted() == Counts{{"access_rx", 8}, {"punted_control", 8}});
}

TEST_CASE("pipeline: an Echo-Reply is never longer than the peer's MRU",
          "[pipeline][rfc1661-5.8]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).peer_mru = 100;
  Octets echo = concat({octets("09 55 0000 0a0b0c0d"), pattern(200)});
  put16(echo, 2, 208);
  world.receive(kAccess, from_peer(s, 0, ppp("c021", echo)));
  put16(echo, 2, 100);
  world.receive(kAccess, from_peer(s, 1, ppp("c021", echo)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  const Octets reply = concat({octets("0a 55 0064 11223344"), Bytes(pattern(200)).first(92)});
  CHECK(hex(Bytes(out[0]).subspan(14 + 20 + 16)) == hex(ppp("c021", reply)));
  CHECK(hex(Bytes(out[1]).subspan(14 + 20 + 12)) == hex(ppp("c021", reply)));
}

TEST_CASE("pipeline: a network protocol we do not speak goes to the control process, cut",
          "[pipeline][rfc1661-5.7]") {
  World world;
  const Subscriber s = world.add(2);
  const Subscriber early = world.add(3, false);
  const Subscriber secret = world.add(4, true, true);
  (void)world.counted();
  const Octets long_one = pattern(400);
  world.receive(kAccess, from_peer(s, 0, ppp("002b", long_one)));
  world.receive(kAccess, from_peer(s, 1, octets("2b 0102")));
  world.receive(kAccess, from_peer(s, 2, ppp("0057", pattern(60))));
  world.receive(kAccess, from_peer(s, 3, ppp("002b", pattern(126))));
  world.run();
  const auto out = world.control();
  REQUIRE(out.size() == 4);
  CHECK(hex(out[0].frame) == "002b" + hex(Bytes(long_one).first(126)));
  CHECK(hex(out[1].frame) == "002b0102");
  CHECK(hex(out[2].frame) == "0057" + hex(pattern(60)));
  CHECK(out[3].frame.size() == 128);
  CHECK(world.counted() == Counts{{"access_rx", 4}, {"punted_control", 4}});
  // Before LCP is open, and in the clear where encryption is required: not a word.
  world.receive(kAccess, from_peer(early, 0, ppp("002b", pattern(8))));
  world.receive(kAccess, from_peer(early, 1, ppp("0057", pattern(8))));
  world.receive(kAccess, from_peer(secret, 0, ppp("002b", pattern(8))));
  world.run();
  CHECK(world.control().empty());
  CHECK(world.drops() == Counts{{"network_not_open", 2}, {"clear_text", 1}});
  // Within the session's rate.
  for (std::uint32_t n = 0; n < 150; ++n)
    world.receive(kAccess, from_peer(s, 4 + n, ppp("002b", pattern(8))));
  world.run();
  CHECK(world.control().size() == 96);
  CHECK(world.drops() == Counts{{"punt_policed", 54}});
}

TEST_CASE("pipeline: a PPP frame of 1,532 octets is taken", "[pipeline][rfc2637-1.4]") {
  World world;
  const Subscriber s = world.add(2);
  const Octets longest = ppp("c021", pattern(1528));
  REQUIRE(longest.size() == 1532);
  world.receive(kAccess, from_peer(s, 0, longest));
  world.run();
  const auto out = world.control();
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0].frame) == hex(Bytes(longest).subspan(2)));  // from the Protocol field on
}

TEST_CASE("pipeline: everything else on a port is the kernel's", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  const Octets syn =
      ethernet(kAccessMac, kAccessRouterMac, 0x0800,
               ip({.source = s.peer, .destination = kLocal, .protocol = 6}, pattern(20)));
  const Octets arp = ethernet("ffffffffffff", kAccessRouterMac, 0x0806, pattern(28));
  const Octets ping =
      from_core(ip({.source = kServer, .destination = "10.0.0.1", .protocol = 1}, pattern(8)));
  world.receive(kAccess, syn);
  world.receive(kAccess, arp);
  world.receive(kCore, ping);
  world.run();
  CHECK(world.punted(kAccess) == std::vector<Octets>{arp, syn});  // by class
  CHECK(world.punted(kCore) == std::vector<Octets>{ping});
  CHECK(world.counted() ==
        Counts{{"access_rx", 2}, {"core_rx", 1}, {"access_punted", 2}, {"core_punted", 1}});
  // And what the kernel sends leaves as it is.
  const Octets reply = ethernet(kAccessRouterMac, kAccessMac, 0x0806, pattern(28));
  world.from_twin(kAccess, reply);
  world.send_frame(kCore, arp);
  world.run();
  CHECK(world.sent(kAccess) == std::vector<Octets>{reply});
  CHECK(world.sent(kCore) == std::vector<Octets>{arp});
}

TEST_CASE("pipeline: a next hop without MAC goes to main and comes back", "[pipeline][rfc826]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kAccess, from_peer(s, 0, ppp("0021", data(s, 0, 64, "10.99.0.7"))));
  world.receive(kAccess, from_peer(s, 1, ppp("0021", data(s, 0, 64, "192.168.1.1"))));
  world.run();
  auto wanted = world.resolves();
  REQUIRE(wanted.size() == 2);
  std::swap(wanted[0], wanted[1]);  // gateways have a ring of their own
  CHECK(wanted[0].next_hop == dataplane::mapped(Ipv4Address(address("10.99.0.7"))));
  CHECK(wanted[1].next_hop == dataplane::mapped(Ipv4Address(address("10.0.0.254"))));
  CHECK(wanted[0].port == kCore);
  CHECK(hex(wanted[0].frame) ==
        hex(ethernet("000000000000", kCoreMac, 0x0800, data(s, 0, 63, "10.99.0.7"))));
  const Octets mac = octets("0200000000aa");
  std::copy(mac.begin(), mac.end(), wanted[0].frame.begin());
  world.send_frame(kCore, wanted[0].frame);
  world.run();
  CHECK(world.sent(kCore) == std::vector<Octets>{wanted[0].frame});
}

TEST_CASE("pipeline: expired and unroutable packets are reported to the subscriber",
          "[pipeline][rfc1812-5.3.1][rfc1812-5.2.4]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  const Octets dying = data(s, 5, 1);
  world.receive(kAccess, from_peer(s, 0, ppp("0021", dying)));
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  Octets icmp = concat({octets("0b00 0000 00000000"), dying});
  put16(icmp, 2, checksum(icmp));
  CHECK(hex(out[0]) == hex(to_peer(s, 0, 0,
                                   ppp("0021", ip({.source = kIcmpSource,
                                                   .destination = s.address,
                                                   .protocol = 1,
                                                   .ttl = 64,
                                                   .tos = 0xc0},
                                                  icmp)),
                                   0)));
  const Octets lost = data(s, 6, 64, "172.16.0.1");
  world.receive(kAccess, from_peer(s, 1, ppp("0021", lost)));
  world.run();
  out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  icmp = concat({octets("0300 0000 00000000"), lost});
  put16(icmp, 2, checksum(icmp));
  CHECK(hex(out[0]) == hex(to_peer(s, 1, 1,
                                   ppp("0021", ip({.source = kIcmpSource,
                                                   .destination = s.address,
                                                   .protocol = 1,
                                                   .ttl = 64,
                                                   .tos = 0xc0},
                                                  icmp)),
                                   1)));
  const auto counted = world.counted();
  CHECK(counted.at("drop ttl_expired") == 1);
  CHECK(counted.at("drop no_route") == 1);
  CHECK(counted.at("generated") == 2);
}

TEST_CASE("pipeline: a subscriber's packet over the core port's MTU is cut, or reported",
          "[pipeline][rfc1191]") {
  World world({.mtu = 1300});
  const Subscriber s = world.add(2);
  (void)world.counted();
  const auto large = [&](unsigned flags) {
    return ip({.source = s.address, .destination = kServer, .id = 7, .flags_offset = flags},
              pattern(1'360));
  };
  world.receive(kAccess, from_peer(s, 0, ppp("0021", large(0))));
  world.run();
  const auto pieces = world.sent(kCore);
  REQUIRE(pieces.size() == 2);
  Octets whole(pieces[0].begin() + 34, pieces[0].end());
  whole.insert(whole.end(), pieces[1].begin() + 34, pieces[1].end());
  CHECK(hex(whole) == hex(pattern(1'360)));
  CHECK(pieces[0].size() == 14 + 20 + 1'280);
  CHECK(get16(pieces[0], 20) == 0x2000);
  CHECK(get16(pieces[1], 20) == 1'280 / 8);
  for (const Octets& piece : pieces) CHECK(checksum(Bytes(piece).subspan(14, 20)) == 0);
  CHECK(world.record(s).upstream.packets.get() == 1);
  auto counted = world.counted();
  CHECK(counted.at("upstream_packets") == 1);
  CHECK(counted.at("core_tx") == 2);

  (void)world.sent(kAccess);
  world.receive(kAccess, from_peer(s, 1, ppp("0021", large(0x4000))));
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(world.drops() == Counts{{"too_big", 1}});
  CHECK(world.record(s).upstream.drops.get() == 1);
  const auto out = world.sent(kAccess);
  // The report itself exceeds the access port's MTU with its headers no more than others do.
  REQUIRE(out.size() == 1);
  constexpr std::size_t kIcmpAt = 14 + 20 + 16 + 4 + 20;
  CHECK(get16(out[0], kIcmpAt) == 0x0304);
  CHECK(get16(out[0], kIcmpAt + 6) == 1300);
}

TEST_CASE("pipeline: ICMP errors are limited and never about ICMP errors",
          "[pipeline][rfc1812-4.3.2]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  for (std::uint32_t n = 0; n < 30; ++n)
    world.receive(kAccess, from_peer(s, n, ppp("0021", data(s, n, 1))));
  world.run();
  CHECK(world.counted().at("generated") == 20);
  world.advance(1'000'000'000);
  world.run();
  (void)world.counted();
  Octets error = concat({octets("0b00000000000000"), data(s)});
  world.receive(
      kAccess,
      from_peer(
          s, 30,
          ppp("0021",
              ip({.source = s.address, .destination = kServer, .protocol = 1, .ttl = 1}, error))));
  world.receive(
      kAccess,
      from_peer(
          s, 31,
          ppp("0021", ip({.source = s.address, .destination = kServer, .ttl = 1, .flags_offset = 7},
                         pattern(8)))));
  world.run();
  const auto counted = world.counted();
  CHECK(counted.at("drop ttl_expired") == 2);
  CHECK(counted.count("generated") == 0);
}

TEST_CASE("pipeline: the MSS of a subscriber's SYN is lowered to what fits",
          "[pipeline][rfc4459]") {
  World world;
  const Subscriber s = world.add(2);
  const auto syn = [&](std::string_view options) {
    Octets tcp = octets("0401 0050 00000001 00000000 6002 2000 0000 0000");
    const Octets o = octets(options);
    tcp.insert(tcp.end(), o.begin(), o.end());
    tcp[12] = static_cast<std::byte>((tcp.size() / 4) << 4);
    return ip({.source = s.address, .destination = kServer, .protocol = 6}, tcp);
  };
  world.receive(kAccess, from_peer(s, 0, ppp("0021", syn("020405b4"))));
  world.receive(kAccess, from_peer(s, 1, ppp("0021", syn("0200ffff"))));  // length 0
  world.run();
  const auto out = world.sent(kCore);
  REQUIRE(out.size() == 2);
  CHECK(get16(out[0], 14 + 20 + 22) == 1360);  // 1400 - 40
  CHECK(get16(out[1], 14 + 20 + 22) == 0xffff);
}

TEST_CASE("pipeline: subscribers reach each other", "[pipeline]") {
  World world;
  const Subscriber a = world.add(2);
  const Subscriber b = world.add(3);
  (void)world.counted();
  world.receive(kAccess, from_peer(a, 0, ppp("0021", data(a, 1, 64, b.address))));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_peer(b, 0, 0, ppp("0021", data(a, 1, 63, b.address)))));
  CHECK(world.counted() == Counts{{"access_rx", 1},
                                  {"access_tx", 1},
                                  {"upstream_packets", 1},
                                  {"upstream_bytes", 40},
                                  {"downstream_packets", 1},
                                  {"downstream_bytes", 40}});
}

TEST_CASE("pipeline: a ping to one of our own addresses is answered down the same session",
          "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).gateway = Ipv4Address(address("10.64.0.1"));
  (void)world.counted();
  std::uint32_t sequence = 0;
  for (const char* ours : {"10.0.0.1", "10.64.0.1"}) {
    Octets echo = octets("0800 0000 1234 0001 6162636465");
    put16(echo, 2, checksum(echo));
    Octets reply = octets("0000 0000 1234 0001 6162636465");
    put16(reply, 2, checksum(reply));
    world.receive(
        kAccess,
        from_peer(
            s, sequence,
            ppp("0021",
                ip({.source = s.address, .destination = ours, .protocol = 1, .ttl = 1}, echo))));
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    CAPTURE(ours);
    // Outer 20, GRE 16 with its ack, PPP 4; then the inner packet.
    const Bytes inner = Bytes(out[0]).subspan(14 + 20 + 16 + 4);
    CHECK(checksum(inner.first(20)) == 0);
    CHECK(get32(inner, 12) == address(ours));
    CHECK(get32(inner, 16) == address(s.address));
    CHECK(hex(inner.subspan(20)) == hex(reply));
    ++sequence;
  }
  // Anything else for the gateway address, which no kernel interface has, ends here.
  world.receive(
      kAccess,
      from_peer(s, sequence,
                ppp("0021", ip({.source = s.address, .destination = "10.64.0.1"}, pattern(8)))));
  world.run();
  CHECK(world.drops() == Counts{{"inner_destination", 1}});
}
