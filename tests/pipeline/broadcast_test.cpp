// SPDX-License-Identifier: BSD-3-Clause
//
// Broadcasts between the core network and the subscribers with addresses in it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "dataplane/pipeline/broadcast_relay.hpp"
#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using dataplane::BroadcastRelay;

namespace {

using Counts = std::map<std::string, std::uint64_t>;
using Frames = std::vector<Octets>;

constexpr std::string_view kAll = "ffffffffffff";
constexpr std::string_view kHostMac = "020000000077";
constexpr std::string_view kHost = "10.64.0.77";  // of the core network
constexpr std::string_view kLimited = "255.255.255.255";
constexpr std::string_view kDirected = "10.64.0.255";

struct Udp {
  std::string_view source;
  std::string_view destination;
  unsigned port = 137;
  unsigned source_port = 137;
  unsigned flags_offset = 0;
  unsigned ttl = 64;
  std::size_t size = 50;  // of the payload
  bool with_checksum = true;
};

Octets udp(const Udp& wanted) {
  Octets datagram(8);
  put16(datagram, 0, wanted.source_port);
  put16(datagram, 2, wanted.port);
  put16(datagram, 4, static_cast<unsigned>(8 + wanted.size));
  const Octets payload = pattern(wanted.size);
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  if (wanted.with_checksum) {
    Octets all = octets("00000000 00000000 0011 0000");
    put32(all, 0, address(wanted.source));
    put32(all, 4, address(wanted.destination));
    put16(all, 10, static_cast<unsigned>(datagram.size()));
    put16(datagram, 6, checksum(concat({all, datagram})));
  }
  return ip({.source = wanted.source,
             .destination = wanted.destination,
             .ttl = wanted.ttl,
             .flags_offset = wanted.flags_offset},
            datagram);
}

Octets on_lan(Bytes packet, std::string_view to = kAll, std::string_view from = kHostMac) {
  return ethernet(to, from, 0x0800, packet);
}
Octets up(const Subscriber& s, std::uint32_t sequence, Bytes packet) {
  return from_peer(s, sequence, ppp("0021", packet));
}

// The IP packets that subscribers were sent, by the peer's address.
std::map<std::string, std::vector<std::string>> received(World& world) {
  std::map<std::string, std::vector<std::string>> out;
  for (const Octets& frame : world.sent(kAccess)) {
    const unsigned flags = get16(frame, 34);
    const std::size_t at = 42 + ((flags & 0x1000) != 0 ? 4U : 0U) + ((flags & 0x80) != 0 ? 4U : 0U);
    if (at == frame.size()) continue;  // an acknowledgement
    REQUIRE(hex(Bytes(frame).subspan(at, 4)) == "ff030021");
    out["203.0.113." + std::to_string(get32(frame, 30) & 0xff)].push_back(
        hex(Bytes(frame).subspan(at + 4)));
  }
  return out;
}

}  // namespace

TEST_CASE("broadcasts: those of the core network reach the subscribers in it, and the kernel",
          "[pipeline][broadcast]") {
  for (const bool twins : {true, false}) {
    World world({.twins = twins, .broadcast_relay = 100});
    const Subscriber s = world.add(2);
    const Subscriber t = world.add(3);
    const Subscriber elsewhere = world.add(4, std::string("10.77.0.4"), 0x104);
    for (const std::string_view destination : {kLimited, kDirected})
      for (const bool with_checksum : {true, false}) {
        CAPTURE(twins, destination, with_checksum);
        (void)world.counted();
        const Octets frame = on_lan(udp({.source = kHost,
                                         .destination = destination,
                                         .ttl = 1,
                                         .with_checksum = with_checksum}));
        twins ? world.receive(kCore, frame) : world.from_lan(frame);
        world.run();
        // TTL and payload are the sender's.
        const std::string copy = hex(udp(
            {.source = kHost, .destination = kLimited, .ttl = 1, .with_checksum = with_checksum}));
        const auto out = received(world);
        CHECK(out.size() == 2);
        CHECK(out.at(s.peer) == std::vector<std::string>{copy});
        CHECK(out.at(t.peer) == std::vector<std::string>{copy});
        CHECK(world.punted(kCore) == (twins ? Frames{frame} : Frames()));
        CHECK(world.sent(kCore).empty());
        const auto counted = world.counted();
        CHECK(counted.at("broadcasts_down") == 1);
        CHECK(counted.at("broadcast_copies") == 2);
        CHECK(counted.at("downstream_packets") == 2);
      }
    CHECK(world.drops().empty());
  }
}

TEST_CASE(
    "broadcasts: those of a subscriber reach the core network and the others, and never himself",
    "[pipeline][broadcast]") {
  World world({.broadcast_relay = 100});
  const Subscriber s = world.add(2);
  const Subscriber t = world.add(3);
  std::uint32_t sequence = 0;
  for (const std::string_view destination : {kLimited, kDirected}) {
    CAPTURE(destination);
    (void)world.counted();
    const Octets packet = udp({.source = s.address, .destination = destination, .ttl = 1});
    // Padding stays behind.
    world.receive(kAccess, up(s, sequence++, concat({packet, pattern(3)})));
    world.run();
    CHECK(world.sent(kCore) == Frames{ethernet(kAll, kCoreMac, 0x0800, packet)});
    const auto out = received(world);
    CHECK(out.size() == 1);
    CHECK(out.at(t.peer) == std::vector<std::string>{hex(
                                udp({.source = s.address, .destination = kLimited, .ttl = 1}))});
    CHECK(world.control().empty());
    const auto counted = world.counted();
    CHECK(counted.at("broadcasts_up") == 1);
    CHECK(counted.at("broadcast_copies") == 1);
    CHECK(counted.at("upstream_packets") == 1);
    CHECK(counted.at("upstream_bytes") == packet.size());
    CHECK_FALSE(counted.contains("broadcasts_down"));
  }
  CHECK(world.record(s).upstream.packets.get() == 2);
  CHECK(world.drops().empty());
}

TEST_CASE("broadcasts: nothing is relayed unless it is configured", "[pipeline][broadcast]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.add(3);
  world.receive(kCore, on_lan(udp({.source = kHost, .destination = kLimited})));
  world.receive(kAccess, up(s, 0, udp({.source = s.address, .destination = kLimited})));
  world.run();
  CHECK(world.punted(kCore).size() == 1);
  CHECK(world.sent(kCore).empty());
  CHECK(received(world).empty());
  CHECK(world.drops() == Counts{{"inner_destination", 1}});
}

TEST_CASE("broadcasts: what the core network sends and is no broadcast of a host there stays there",
          "[pipeline][broadcast]") {
  World world({.broadcast_relay = 100});
  const Subscriber s = world.add(2);
  (void)world.add(3);
  const Octets usual = udp({.source = kHost, .destination = kLimited});
  Octets wrong = usual;
  wrong[10] ^= std::byte{1};
  const Frames frames = {
      on_lan(udp({.source = "10.99.0.7", .destination = kLimited})),     // another network's
      on_lan(udp({.source = kHost, .destination = "10.77.255.255"})),    // to another network
      on_lan(udp({.source = kHost, .destination = "239.255.255.250"})),  // no broadcast
      on_lan(udp({.source = kHost, .destination = "10.64.0.3"})),        // nor this
      on_lan(udp({.source = "10.64.0.1", .destination = kLimited})),     // the server's own
      on_lan(udp({.source = s.address, .destination = kLimited})),       // a subscriber's: a loop
      on_lan(udp({.source = kDirected, .destination = kLimited})),       // nobody's
      on_lan(udp({.source = "0.0.0.0", .destination = kLimited})),       //
      on_lan(usual, kAll, kCoreMac),                                     // came back
      on_lan(usual, "01005e7ffffa"),                                     // multicast
      on_lan(wrong),                                                     // checksum
      on_lan(ip({.source = kHost, .destination = kLimited, .protocol = 1}, pattern(16))),
      on_lan(udp({.source = kHost, .destination = kLimited, .port = 67, .source_port = 68})),
      on_lan(udp({.source = kHost, .destination = kLimited, .port = 68, .source_port = 67})),
      ethernet(kAll, kHostMac, 0x0800, Bytes(usual).first(30)),
      ethernet(kAll, kHostMac, 0x88b5, usual)};
  for (const Octets& frame : frames) world.receive(kCore, frame);
  world.run();
  // By class, so that their order differs.
  Frames punted = world.punted(kCore);
  Frames expected = frames;
  std::ranges::sort(punted);
  std::ranges::sort(expected);
  CHECK(punted == expected);
  CHECK(received(world).empty());
  CHECK(world.drops().empty());
  // To this server alone: a directed broadcast from far away (RFC 2644).
  world.receive(kCore, on_lan(udp({.source = kHost, .destination = kDirected}), kCoreMac));
  world.run();
  CHECK(received(world).empty());
  // Fragments, and a datagram that is longer than its packet, are refused and counted.
  Octets longer = usual;
  put16(longer, 24, 59);
  const Frames refused = {
      on_lan(udp({.source = kHost, .destination = kLimited, .flags_offset = 0x2000})),
      on_lan(udp({.source = kHost, .destination = kLimited, .flags_offset = 0x0010})),
      on_lan(longer)};
  (void)world.punted(kCore);
  (void)world.counted();
  for (const Octets& frame : refused) world.receive(kCore, frame);
  world.run();
  CHECK(world.punted(kCore) == refused);
  CHECK(received(world).empty());
  CHECK(world.drops() == Counts{{"broadcast_refused", 3}});
}

TEST_CASE("broadcasts: a subscriber's is refused where the core network would not have it",
          "[pipeline][broadcast]") {
  World world({.broadcast_relay = 100});
  const Subscriber s = world.add(2);
  (void)world.add(3);
  const Subscriber elsewhere = world.add(4, std::string("10.77.0.4"), 0x104);
  std::uint32_t sequence = 0;
  const auto reason = [&](const Subscriber& from, const Octets& packet) {
    (void)world.counted();
    world.receive(kAccess, up(from, sequence++, packet));
    world.run();
    CHECK(world.sent(kCore).empty());
    CHECK(received(world).empty());
    const Counts drops = world.drops();
    return drops.size() == 1 ? drops.begin()->first : "?";
  };
  const std::string kRefused = "broadcast_refused";
  CHECK(reason(elsewhere, udp({.source = elsewhere.address, .destination = kLimited})) == kRefused);
  CHECK(reason(elsewhere, udp({.source = elsewhere.address, .destination = kDirected})) ==
        kRefused);
  CHECK(reason(s, udp({.source = s.address, .destination = kDirected, .port = 67})) == kRefused);
  CHECK(reason(s, udp({.source = s.address, .destination = kLimited, .port = 68})) == kRefused);
  CHECK(reason(s, udp({.source = s.address, .destination = kLimited, .flags_offset = 0x2000})) ==
        kRefused);
  CHECK(reason(s, ip({.source = s.address, .destination = kLimited, .protocol = 1}, pattern(16))) ==
        kRefused);
  // Checks that come before are as they were.
  CHECK(reason(s, udp({.source = kHost, .destination = kLimited})) == "inner_source");
  CHECK(reason(s, udp({.source = s.address, .destination = kLimited, .port = 67})) ==
        "dhcp_refused");
}

TEST_CASE("broadcasts: a subscriber's rate is bounded, and so is the worker's",
          "[pipeline][broadcast]") {
  World world({.ring_size = 1024, .broadcast_relay = 30});
  const Subscriber s = world.add(2);
  const Subscriber t = world.add(3);
  std::array<std::uint32_t, 2> sequence{};
  const auto flood = [&](const Subscriber& from, unsigned count) {
    (void)world.counted();
    for (unsigned n = 0; n < count; ++n) {
      world.receive(kAccess, up(from, sequence[from.n - 2]++,
                                udp({.source = from.address, .destination = kLimited})));
      if (n % 16 == 15) world.run();
    }
    world.run();
    (void)received(world);
    return world.sent(kCore).size();
  };
  CHECK(flood(s, 40) == 20);
  CHECK(world.drops() == Counts{{"broadcast_limited", 20}});
  CHECK(flood(t, 40) == 10);  // what is left of the worker's 30
  world.advance(500'000'000);
  CHECK(flood(s, 40) == 5);
  // Broadcasts that the worker refused count in the session's bucket.
  CHECK(flood(t, 40) == 5);
  CHECK(world.record(t).upstream.drops.get() == 65);

  // The other direction has a rate of its own.
  (void)world.counted();
  for (unsigned n = 0; n < 40; ++n)
    world.receive(kCore, on_lan(udp({.source = kHost, .destination = kDirected})));
  world.run();
  CHECK(received(world).at(s.peer).size() == 30);
  CHECK(world.punted(kCore).size() == 40);
  CHECK(world.drops() == Counts{{"broadcast_limited", 10}});
}

TEST_CASE("broadcasts: each worker copies to its own sessions", "[pipeline][broadcast]") {
  World world({.workers = 3, .broadcast_relay = 100});
  std::vector<Subscriber> all;
  for (unsigned n = 2; n < 8; ++n) all.push_back(world.add(n));
  for (unsigned queue = 0; queue < 3; ++queue) {
    (void)world.counted();
    world.receive(kCore, on_lan(udp({.source = kHost, .destination = kDirected})), queue);
    world.run();
    const auto out = received(world);
    CHECK(out.size() == all.size());
    for (const auto& [peer, packets] : out) CHECK(packets.size() == 1);
    CHECK(world.counted().at("handed_out") == 2);
  }
  for (const Subscriber& s : all) {
    world.receive(kAccess, up(s, 0, udp({.source = s.address, .destination = kLimited})), s.n % 3);
    world.run();
    const auto out = received(world);
    CHECK(out.size() == all.size() - 1);
    CHECK_FALSE(out.contains(s.peer));
    CHECK(world.sent(kCore).size() == 1);
  }
  CHECK(world.drops().empty());
}

TEST_CASE("broadcasts: a copy is encrypted like any other packet", "[pipeline][broadcast][mppe]") {
  World world({.broadcast_relay = 100});
  const Subscriber s = world.add(2, true, true);
  const Subscriber bare = world.add(3, true, true);
  world.arm(s);
  ArmedPeer peer;
  (void)world.counted();
  world.receive(kCore, on_lan(udp({.source = kHost, .destination = kLimited})));
  world.run();
  const auto sent = world.sent(kAccess);
  REQUIRE(sent.size() == 1);
  CHECK(peer.open(sent[0]) == "0021" + hex(udp({.source = kHost, .destination = kLimited})));
  CHECK(world.drops() == Counts{{"clear_text", 1}});
  CHECK(world.record(bare).downstream.drops.get() == 1);
}

TEST_CASE("broadcasts: a large network is walked in slices between bursts",
          "[pipeline][broadcast]") {
  // 2^20 addresses, in which three leaves of the index have sessions.
  World world({.broadcast_relay = 100, .lan = "10.64.0.1/12"});
  std::vector<Subscriber> all = {world.add(2), world.add(3, std::string("10.70.1.1"), 0x103),
                                 world.add(4, std::string("10.79.255.254"), 0x104)};
  world.receive(kCore, on_lan(udp({.source = kHost, .destination = "10.79.255.255"})));
  std::uint32_t looked = 0;
  unsigned turns = 0;
  for (bool idle = false; !idle; ++turns) {
    const auto result = world.worker().poll_once(Tsc{turns}, world.now_ns());
    CHECK(result.addresses <= BroadcastRelay::kSliceAddresses);
    looked += result.addresses;
    idle = result.idle();
  }
  CHECK(looked == 3 * 4096 + 253);  // a leaf that is not there is one look
  CHECK(turns >= 13);
  CHECK(received(world).size() == 3);
}

TEST_CASE(
    "broadcasts: copies of a turn and of a second are bounded, and the rest is given up in time",
    "[pipeline][broadcast]") {
  World world({.ring_size = 1024, .broadcast_relay = 1000, .max_sessions = 250});
  for (unsigned n = 2; n < 76; ++n) (void)world.add(n);
  const auto copies = [&] {
    std::size_t count = 0;
    for (const auto& [peer, packets] : received(world)) count += packets.size();
    return count;
  };
  const auto from_host = [&] {
    world.receive(kCore, on_lan(udp({.source = kHost, .destination = kLimited})));
  };
  from_host();
  (void)world.worker().poll_once(Tsc{1}, world.now_ns());  // received
  (void)world.worker().poll_once(Tsc{2}, world.now_ns());  // waits
  CHECK(copies() <= dataplane::Burst::kReceive);
  world.run();
  // Time stands still.
  for (unsigned n = 0; n < 9; ++n) from_host();
  world.run();
  const std::size_t at_once = copies();
  CHECK(at_once + dataplane::Burst::kReceive >= BroadcastRelay::kCopyBurst);
  CHECK(at_once <= BroadcastRelay::kCopyBurst);
  CHECK(world.worker().next_deadline_ns(world.now_ns()) <= 20'000);
  world.advance(1'000'000);  // 50 more
  world.run();
  CHECK(copies() == 50);
  // 64 broadcasts wait, then no more.
  for (unsigned n = 0; n < 70; ++n) from_host();
  (void)world.counted();
  world.run();
  const Counts full = world.drops();
  REQUIRE(full.contains("broadcast_queue_full"));
  CHECK(full.at("broadcast_queue_full") >= 6);
  (void)copies();
  world.advance(BroadcastRelay::kMaxWaitNs);
  world.run();
  CHECK(copies() == 0);
  CHECK(world.drops() == Counts{{"broadcast_late", BroadcastRelay::kMaxWaiting}});
}

TEST_CASE("broadcasts: without buffers none is made, and all is counted", "[pipeline][broadcast]") {
  World world({.broadcast_relay = 100});
  (void)world.add(2);
  (void)world.counted();
  const Octets frame = on_lan(udp({.source = kHost, .destination = kLimited}));
  world.receive(kCore, frame);
  std::vector<rte_mbuf*> taken;
  while (rte_mbuf* packet = rte_pktmbuf_alloc(world.pool())) taken.push_back(packet);
  world.run();
  CHECK(world.drops() == Counts{{"no_buffer", 1}});
  rte_pktmbuf_free_bulk(taken.data(), static_cast<unsigned>(taken.size()));
  CHECK(world.punted(kCore) == Frames{frame});
  CHECK(received(world).empty());
}

TEST_CASE("broadcasts: on one link they are the core port's, and the kernel has them too",
          "[pipeline][broadcast][vlan]") {
  World world({.one_device = true, .broadcast_relay = 100});
  const Subscriber s = world.add(2);
  const Octets frame = on_lan(udp({.source = kHost, .destination = kLimited}));
  const Octets request =
      on_lan(udp({.source = "0.0.0.0", .destination = kLimited, .port = 67, .source_port = 68}));
  world.receive(kAccess, frame);
  world.receive(kAccess, request);
  world.run();
  CHECK(received(world).at(s.peer).size() == 1);
  CHECK(world.punted(kCore) == Frames{frame});
  CHECK(world.punted(kAccess) == Frames{request});
}

TEST_CASE("broadcasts: the port's VLAN tags are put on", "[pipeline][broadcast][vlan]") {
  World world({.vlans = {{{}, {20}}}, .broadcast_relay = 100});
  const Subscriber s = world.add(2);
  const Octets packet = udp({.source = s.address, .destination = kDirected});
  world.receive(kAccess, up(s, 0, packet));
  world.run();
  CHECK(world.sent(kCore) ==
        Frames{concat({octets(kAll), octets(kCoreMac), octets("81000014 0800"), packet})});
}
