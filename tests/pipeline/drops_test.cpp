// SPDX-License-Identifier: BSD-3-Clause
//
// One row per way to be dropped: a single frame, the reason it must be counted for, and that
// nothing comes out anywhere and no session state moves.
#include <catch2/catch.hpp>

#include "dataplane/session/session_commands.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

constexpr auto kUdp = 17U;

Octets inner(const Subscriber& s, unsigned ttl = 64, std::string_view destination = kServer) {
  return ip({.source = s.address, .destination = destination, .protocol = kUdp, .ttl = ttl},
            pattern(20));
}

Octets with(Octets frame, std::size_t at, unsigned value) {
  frame[at] = static_cast<std::byte>(value);
  return frame;
}

// Outer IPv4 edited, with its checksum mended.
Octets with_ip16(Octets frame, std::size_t at, unsigned value) {
  put16(frame, 14 + at, value);
  put16(frame, 14 + 10, 0);
  put16(frame, 14 + 10, checksum(Bytes(frame).subspan(14, 20)));
  return frame;
}

// A changed octet in an inner header, with its checksum mended or not.
Octets edited(Octets packet, std::size_t at, unsigned value, bool mend = true) {
  packet[at] = static_cast<std::byte>(value);
  if (mend) {
    put16(packet, 10, 0);
    put16(packet, 10, checksum(Bytes(packet).first(20)));
  }
  return packet;
}

struct Row {
  const char* name;
  contract::PortRole port;
  Octets frame;
  const char* reason;
};

void check_row(World& world, const Row& row) {
  INFO(row.name);
  world.receive(row.port, row.frame);
  world.run();
  const auto drops = world.drops();
  CHECK(drops == std::map<std::string, std::uint64_t>{{row.reason, 1}});
  CHECK(world.sent(kAccess).empty());
  CHECK(world.sent(kCore).empty());
  CHECK(world.punted(kAccess).empty());
  CHECK(world.punted(kCore).empty());
  CHECK(world.control().empty());
}

}  // namespace

TEST_CASE("pipeline: frames that go no further than the headers",
          "[pipeline][conformance-26][conformance-27]") {
  World world({.twins = false});
  const Subscriber s = world.add(2);
  (void)world.counted();
  const Octets good = from_peer(s, 0, ppp("0021", inner(s)));
  const auto gre_at = 34U;
  Octets other_mac = good;
  other_mac[5] = std::byte{0x77};
  auto truncated = [&](std::size_t gre_octets) {
    Octets frame(good.begin(), good.begin() + 34 + static_cast<long>(gre_octets));
    return with_ip16(frame, 2, static_cast<unsigned>(20 + gre_octets));
  };
  const std::vector<Row> rows = {
      {"13 octets of Ethernet", kAccess, Octets(13), "frame_truncated"},
      {"another host's MAC", kAccess, other_mac, "frame_not_for_us"},
      {"Ethernet says IPv4, the packet says 6", kAccess, with(good, 14, 0x65), "ip_version"},
      {"IHL 4", kAccess, with(good, 14, 0x44), "ip_header_length"},
      {"Total Length beyond the frame", kAccess, with_ip16(good, 2, 1400), "ip_total_length"},
      {"outer checksum", kAccess, with(good, 24, 0), "ip_checksum"},
      {"first fragment", kAccess, with_ip16(good, 6, 0x2000), "outer_fragment"},
      {"last fragment", kAccess, with_ip16(good, 6, 0x0010), "outer_fragment"},
      {"7 octets of GRE", kAccess, truncated(7), "gre_truncated"},
      {"7 octets of GRE, padded with the rest", kAccess,
       concat({truncated(7), Bytes(good).subspan(gre_at + 7)}), "gre_truncated"},
      {"GRE without its sequence number", kAccess, truncated(8), "gre_truncated"},
      {"GRE version 0", kAccess, with(good, gre_at + 1, 0x00), "gre_version"},
      {"GRE version 7", kAccess, with(good, gre_at + 1, 0x07), "gre_version"},
      {"GRE protocol IPv4", kAccess, with(with(good, gre_at + 2, 0x08), gre_at + 3, 0),
       "gre_protocol"},
      {"GRE C bit", kAccess, with(good, gre_at, 0xb0), "gre_flags"},
      {"GRE s bit", kAccess, with(good, gre_at, 0x38), "gre_flags"},
      {"GRE K clear", kAccess, with(good, gre_at, 0x10), "gre_flags"},
      {"GRE payload length 65535", kAccess, with(with(good, gre_at + 4, 0xff), gre_at + 5, 0xff),
       "gre_payload_length"},
      {"GRE payload length 0 with S", kAccess, with(with(good, gre_at + 4, 0), gre_at + 5, 0),
       "gre_payload_length"},
      {"unknown Call ID", kAccess, with(good, gre_at + 7, 0x99), "gre_unknown_call"},
      {"ARP where there is no twin", kAccess,
       ethernet(kAccessMac, kAccessRouterMac, 0x0806, pattern(28)), "not_ip"},
      {"TCP where there is no twin", kAccess,
       ethernet(kAccessMac, kAccessRouterMac, 0x0800,
                ip({.source = s.peer, .destination = kLocal, .protocol = 6}, pattern(20))),
       "not_ip"},
      {"GRE to an address that is not ours", kAccess,
       ethernet(kAccessMac, kAccessRouterMac, 0x0800,
                ip({.source = s.peer, .destination = "198.51.100.9", .protocol = 47}, pattern(20))),
       "not_ip"},
      {"GRE by broadcast", kAccess, concat({octets("ffffffffffff"), Bytes(good).subspan(6)}),
       "not_ip"},
      {"IPv4 for nobody", kCore,
       from_core(ip({.source = kServer, .destination = "10.64.0.77"}, pattern(8))), "no_session"},
      {"core: ARP", kCore, ethernet(kCoreMac, kCoreRouterMac, 0x0806, pattern(28)),
       "pool_address_unused"},
      {"core: IPv4 with a wrong checksum", kCore,
       from_core(
           edited(ip({.source = kServer, .destination = s.address}, pattern(8)), 8, 9, false)),
       "ip_checksum"},
  };
  for (const Row& row : rows) check_row(world, row);
  CHECK(world.record(s).upstream.gre_packets.get() == 0);
  CHECK_FALSE(world.record(s).upstream.sequence_started);
}

TEST_CASE("pipeline: another source cannot touch a session",
          "[pipeline][rfc2637-3.2.2][conformance-28]") {
  World world;
  const Subscriber s = world.add(2);
  const Subscriber thief = world.add(3);
  (void)world.counted();
  Subscriber forged = s;
  forged.peer = thief.peer;
  check_row(world,
            {"data", kAccess, from_peer(forged, 1000, ppp("0021", inner(s)), 5), "gre_wrong_peer"});
  check_row(world, {"ack only", kAccess, from_peer(forged, {}, {}, 7), "gre_wrong_peer"});
  const auto& up = world.record(s).upstream;
  CHECK_FALSE(up.sequence_started);
  CHECK_FALSE(up.ack_received);
  CHECK(up.last_receive_ns.load() == 0);
  CHECK(up.gre_packets.get() == 0);
}

TEST_CASE("pipeline: PPP frames that are refused", "[pipeline][conformance-35]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  std::uint32_t sequence = 0;
  const auto row = [&](const char* name, Bytes frame, const char* reason) {
    check_row(world, {name, kAccess, from_peer(s, sequence++, frame), reason});
  };
  row("FF 03 and no more", octets("ff03"), "ppp_truncated");
  row("half a protocol", octets("ff03c0"), "ppp_truncated");
  row("one even octet", octets("00"), "ppp_truncated");
  row("an even protocol", octets("ff03c020"), "ppp_protocol");
  row("a frame over the receive unit", ppp("c021", pattern(1529)), "ppp_too_long");
  row("MPPE", ppp("00fd", octets("9000aabb")), "mppe_not_open");
  CHECK(world.record(s).upstream.drops.get() == 6);
}

TEST_CASE("pipeline: inner packets that are refused",
          "[pipeline][conformance-55][conformance-56]") {
  World world;
  const Subscriber s = world.add(2);
  world.add(3);
  (void)world.counted();
  std::uint32_t sequence = 0;
  const auto row = [&](const char* name, Bytes packet, const char* reason) {
    check_row(world, {name, kAccess, from_peer(s, sequence++, ppp("0021", packet)), reason});
  };
  const Octets good = inner(s);
  row("19 octets", Bytes(good).first(19), "inner_truncated");
  row("version 6", edited(good, 0, 0x65), "inner_version");
  row("IHL 4", edited(good, 0, 0x44), "inner_header");
  row("IHL beyond the packet", edited(good, 0, 0x4f), "inner_header");
  row("Total Length beyond the packet", edited(good, 3, 41), "inner_header");
  row("Total Length below the header", edited(good, 3, 19), "inner_header");
  row("checksum", edited(good, 8, 3, false), "inner_header");
  for (const char* source :
       {"10.64.0.3", "10.0.0.9", "127.0.0.1", "224.0.0.5", "0.0.0.0", "255.255.255.255"})
    row(source, ip({.source = source, .destination = kServer}, pattern(8)), "inner_source");
  for (const char* destination :
       {"127.0.0.1", "224.0.0.5", "0.0.0.0", "255.255.255.255", "240.0.0.1"})
    row(destination, inner(s, 64, destination), "inner_destination");
}

TEST_CASE("pipeline: network data before it is open, or in the clear where it must not be",
          "[pipeline][conformance-43][conformance-50]") {
  World world;
  const Subscriber closed = world.add(2, false);
  const Subscriber secret = world.add(3, true, true);
  const Subscriber armed = world.add(4);
  world.arm(armed);
  (void)world.counted();
  check_row(world, {"not open", kAccess, from_peer(closed, 0, ppp("0021", inner(closed))),
                    "network_not_open"});
  check_row(world, {"MPPE required", kAccess, from_peer(secret, 0, ppp("0021", inner(secret))),
                    "clear_text"});
  check_row(world, {"MPPE required: IPv6", kAccess, from_peer(secret, 1, ppp("0057", pattern(60))),
                    "clear_text"});
  check_row(world, {"MPPE up though not required", kAccess,
                    from_peer(armed, 0, ppp("0021", inner(armed))), "clear_text"});
  const auto down = [](const Subscriber& s) {
    return from_core(ip({.source = kServer, .destination = s.address}, pattern(8)));
  };
  check_row(world, {"downstream, MPPE required and not up", kCore, down(secret), "clear_text"});
  world.command(secret, WorkerCommandType::kCloseIpv4);
  world.run();
  check_row(world, {"MPPE required, closed", kAccess,
                    from_peer(secret, 2, ppp("0021", inner(secret))), "clear_text"});
}

TEST_CASE("pipeline: MPPE packets that are refused leave the session decrypting",
          "[pipeline][conformance-51][conformance-53]") {
  World world;
  const Subscriber s = world.add(2, true, true);
  world.arm(s);
  (void)world.counted();
  std::uint32_t sequence = 0;
  const auto row = [&](const char* name, std::string_view mppe, const char* reason) {
    check_row(world, {name, kAccess, from_peer(s, sequence++, ppp("00fd", octets(mppe))), reason});
  };
  row("no octets", "", "mppe_truncated");
  row("one octet", "90", "mppe_truncated");
  row("two octets", "9000", "mppe_truncated");
  row("D clear", "8000 11223344", "mppe_flags");
  row("FLUSHED clear", "1000 11223344", "mppe_flags");
  row("garbage, count as expected", "9000 1122334455667788", "mppe_garbage");
  row("garbage, 50 ahead", "9032 1122334455667788", "mppe_garbage");
  row("garbage, 500 ahead", "91f4 1122334455667788", "mppe_garbage");
  row("garbage, behind", "9fff 1122334455667788", "mppe_gap");
  CHECK(world.record(s).upstream.mppe.coherency == 0);
}

TEST_CASE("pipeline: rings that are full", "[pipeline]") {
  SECTION("towards the control process") {
    World world({.ring_size = 8});
    const Subscriber s = world.add(2);
    (void)world.counted();
    for (std::uint32_t n = 0; n < 12; ++n)
      world.receive(kAccess, from_peer(s, n, ppp("c021", octets("01010004"))));
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("punted_control") == 8);
    CHECK(counted.at("drop punt_full") == 4);
  }
  SECTION("towards the kernel") {
    World world({.ring_size = 8});
    (void)world.counted();
    for (unsigned n = 0; n < 12; ++n)
      world.receive(kAccess, ethernet(kAccessMac, kAccessRouterMac, 0x0806, pattern(28)));
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("access_punted") == 8);
    CHECK(counted.at("drop punt_full") == 4);
  }
  SECTION("towards another worker") {
    World world({.workers = 2, .ring_size = 8});
    const Subscriber s = world.add(3);
    (void)world.counted();
    for (std::uint32_t n = 0; n < 12; ++n)
      world.receive(kAccess, from_peer(s, n, ppp("0021", inner(s))), 0);
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("handed_out") == 8);
    CHECK(counted.at("handed_in") == 8);
    CHECK(counted.at("core_tx") == 8);
    CHECK(counted.at("drop handover_full") == 4);
  }
  SECTION("of the port") {
    World world;
    const Subscriber s = world.add(2);
    (void)world.counted();
    // The ring behind the port takes 1,023.
    for (std::uint32_t n = 0; n < 1100; ++n) {
      world.receive(kAccess, from_peer(s, n, ppp("0021", inner(s))));
      if (n % 100 == 99) world.run();
    }
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("core_tx") == 1023);
    CHECK(counted.at("drop tx_full") == 77);
  }
}

TEST_CASE("pipeline: policers", "[pipeline]") {
  SECTION("control frames of one session") {
    World world;
    const Subscriber s = world.add(2);
    const Subscriber other = world.add(3);
    (void)world.counted();
    for (std::uint32_t n = 0; n < 150; ++n)
      world.receive(kAccess, from_peer(s, n, ppp("c021", octets("01010004"))));
    world.run();
    world.receive(kAccess, from_peer(other, 0, ppp("c021", octets("01010004"))));
    world.run();
    auto counted = world.counted();
    CHECK(counted.at("punted_control") == 101);
    CHECK(counted.at("drop punt_policed") == 50);
    world.advance(50'000'000);  // ten more
    for (std::uint32_t n = 150; n < 180; ++n)
      world.receive(kAccess, from_peer(s, n, ppp("c021", octets("01010004"))));
    world.run();
    counted = world.counted();
    CHECK(counted.at("punted_control") == 10);
  }
  SECTION("control frames of many open sessions keep no call from being set up") {
    World world({.ring_size = 1024});
    std::vector<Subscriber> open;
    for (unsigned n = 2; n < 42; ++n) open.push_back(world.add(n));
    const Subscriber dialling = world.add(50, false);
    (void)world.counted();
    // 2,000 frames, each session within its own rate. Main stands still.
    for (std::uint32_t n = 0; n < 50; ++n) {
      for (const Subscriber& s : open)
        world.receive(kAccess, from_peer(s, n, ppp("c021", octets("01010004"))));
      world.run();
    }
    auto counted = world.counted();
    CHECK(counted.at("punted_control") == 320);
    CHECK(counted.at("drop punt_policed") == 2'000 - 320);
    CHECK(counted.count("drop punt_full") == 0);
    for (std::uint32_t n = 0; n < 20; ++n)
      world.receive(kAccess, from_peer(dialling, n, ppp("c021", octets("01010004"))));
    world.run();
    counted = world.counted();
    CHECK(counted.at("punted_control") == 20);
    CHECK(counted.count("drop punt_policed") == 0);
  }
  SECTION("frames for the kernel") {
    World world({.punt_rate = 1000, .punt_burst = 5});
    (void)world.counted();
    for (unsigned n = 0; n < 12; ++n)
      world.receive(kAccess, ethernet(kAccessMac, kAccessRouterMac, 0x0806, pattern(28)));
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("access_punted") == 5);
    CHECK(counted.at("drop punt_policed") == 7);
  }
  SECTION("requests for a neighbour") {
    World world({.ring_size = 1024});
    const Subscriber s = world.add(2);
    (void)world.counted();
    for (std::uint32_t n = 0; n < 300; ++n)
      world.receive(kAccess, from_peer(s, n, ppp("0021", inner(s, 64, "10.99.0.1"))));
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("core_punted") == 16);
    CHECK(counted.at("drop next_hop_unresolved") == 284);
  }
  SECTION("a session's rate, both ways") {
    World world;
    const Subscriber s = world.add(2);
    // 4 kB/s upstream: 1,000 octets in 250 ms, and up to 1/16 more. Twice that downstream.
    dataplane::set_service(world.record(s), {.rates = {.upstream = {.bits_per_second = 32'000},
                                                       .downstream = {.bits_per_second = 64'000}},
                                             .filters = {}});
    (void)world.counted();
    for (std::uint32_t n = 0; n < 40; ++n) {
      world.receive(kAccess, from_peer(s, n, ppp("0021", inner(s))));  // 40 octets each
      world.receive(kCore,
                    from_core(ip({.source = kServer, .destination = s.address}, pattern(20))));
    }
    world.run();
    const auto counted = world.counted();
    CHECK(counted.at("core_tx") == 25);
    CHECK(counted.at("downstream_packets") == 40);
    CHECK(counted.at("drop rate_limited") == 15);
    // A change holds for the next packet: the bucket of a faster rate is not in debt.
    dataplane::set_service(world.record(s), {});
    world.receive(kAccess, from_peer(s, 40, ppp("0021", inner(s))));
    world.run();
    CHECK(world.counted().at("core_tx") == 1);
  }
}

TEST_CASE("pipeline: no control process", "[pipeline]") {
  World world({.control_attached = false});
  const Subscriber s = world.add(2);
  (void)world.counted();
  check_row(world,
            {"LCP", kAccess, from_peer(s, 0, ppp("c021", octets("01010004"))), "punt_no_control"});
  check_row(world, {"unknown protocol", kAccess, from_peer(s, 1, ppp("4001", octets("01010004"))),
                    "punt_no_control"});
  // Echo is answered all the same.
  world.receive(kAccess, from_peer(s, 2, ppp("c021", octets("0901000800000001"))));
  world.run();
  CHECK(world.sent(kAccess).size() == 1);
}

TEST_CASE("pipeline: a buffer without room in front is dropped, not overrun", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  rte_mbuf* packet = rte_pktmbuf_alloc(world.pool());
  packet->data_off = 0;
  const Octets frame = from_core(ip({.source = kServer, .destination = s.address}, pattern(20)));
  std::memcpy(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.size())), frame.data(),
              frame.size());
  world.receive_mbuf(kCore, packet);
  world.run();
  // 14 octets of Ethernet went; PPP takes 4 of them, GRE and IPv4 need 36.
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"no_headroom", 1}});
  CHECK(world.record(s).downstream.next_sequence == 0);
}

TEST_CASE("pipeline: chains are made one segment, or dropped", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  const Octets frame = from_peer(s, 0, ppp("0021", inner(s)));
  const auto chain = [&](std::size_t first, std::size_t extra) {
    rte_mbuf* head = rte_pktmbuf_alloc(world.pool());
    rte_mbuf* tail = rte_pktmbuf_alloc(world.pool());
    std::memcpy(rte_pktmbuf_append(head, static_cast<std::uint16_t>(first)), frame.data(), first);
    const std::size_t rest = frame.size() - first;
    auto* room = rte_pktmbuf_append(tail, static_cast<std::uint16_t>(rest + extra));
    std::memcpy(room, frame.data() + first, rest);
    REQUIRE(rte_pktmbuf_chain(head, tail) == 0);
    return head;
  };
  world.receive_mbuf(kAccess, chain(20, 0));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  (void)world.counted();
  world.receive_mbuf(kAccess, chain(60, 2000));
  world.run();
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"no_buffer", 1}});
}

TEST_CASE("pipeline: a source that no router forwards from goes to no subscriber", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  for (const char* source : {"127.0.0.1", "0.1.2.3", "224.0.0.5", "240.0.0.1", "255.255.255.255"})
    check_row(world, {source, kCore,
                      from_core(ip({.source = source, .destination = s.address}, pattern(20))),
                      "inner_scope"});
}

TEST_CASE("pipeline: a fragment that ends beyond 65,535 octets is not cut further", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  // Offset 65,528 and 1,450 octets: the second half would have an offset of 66,904.
  check_row(world,
            {"downstream", kCore,
             from_core(ip({.source = kServer, .destination = s.address, .flags_offset = 0x1fff},
                          pattern(1450))),
             "fragment_overflow"});
  // As far as the last octet that there is.
  world.receive(kCore,
                from_core(ip({.source = kServer, .destination = s.address, .flags_offset = 8'007},
                             pattern(1'450))));
  world.run();
  CHECK(world.sent(kAccess).size() == 2);
}

TEST_CASE("pipeline: no buffers for fragments", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(1450))));
  std::vector<rte_mbuf*> hoard;
  while (rte_mbuf* packet = rte_pktmbuf_alloc(world.pool())) hoard.push_back(packet);
  world.run();
  for (rte_mbuf* packet : hoard) rte_pktmbuf_free(packet);
  CHECK(world.drops() == std::map<std::string, std::uint64_t>{{"no_buffer", 1}});
  CHECK(world.sent(kAccess).empty());
  // With buffers it goes on.
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(1450))));
  world.run();
  CHECK(world.sent(kAccess).size() == 2);
  CHECK(world.drops().empty());
}
