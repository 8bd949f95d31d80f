// SPDX-License-Identifier: BSD-3-Clause
//
// Two routing tables: outer packets know the access port's routes, inner packets the core port's,
// and an address may mean another host in each.
#include <catch2/catch.hpp>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::dataplane;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

// A route for as long as the test runs: all Worlds have the same tables.
class ScopedRoute {
 public:
  ScopedRoute(NextHops& table, const char* prefix, const NextHop& hop)
      : table_(table), prefix_(*Ipv4Prefix::parse(prefix)) {
    static std::uint16_t number = 100;
    const NextHopId id(number++);
    REQUIRE(table_.set(id, hop));
    REQUIRE(table_.add_route(prefix_, id));
  }
  ~ScopedRoute() { CHECK(table_.delete_route(prefix_)); }
  ScopedRoute(const ScopedRoute&) = delete;
  ScopedRoute& operator=(const ScopedRoute&) = delete;

 private:
  NextHops& table_;
  Ipv4Prefix prefix_;
};

// A group of routers with consecutive MAC addresses.
class Group {
 public:
  static constexpr unsigned kRouters = 3;

  Group(NextHops& table, const char* prefix, NextHop router) : table_(table) {
    static std::uint16_t number = 200;
    static std::uint16_t group = NextHops::kMaxNextHops;
    std::array<NextHopId, NextHops::kGroupBuckets> buckets;
    for (unsigned n = 0; n < kRouters; ++n) {
      router.destination[5] = static_cast<std::uint8_t>(0xa0 + n);
      const NextHopId id(number++);
      REQUIRE(table_.set(id, router));
      for (std::size_t bucket = n; bucket < buckets.size(); bucket += kRouters)
        buckets[bucket] = id;
    }
    const NextHopId id(group++);
    REQUIRE(table_.set_group(id, buckets));
    if ((ipv4_ = Ipv4Prefix::parse(prefix)))
      REQUIRE(table_.add_route(*ipv4_, id));
    else
      REQUIRE(table_.add_route(*(ipv6_ = Ipv6Prefix::parse(prefix)), id));
  }
  ~Group() { CHECK((ipv4_ ? table_.delete_route(*ipv4_) : table_.delete_route(*ipv6_))); }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

 private:
  NextHops& table_;
  std::optional<Ipv4Prefix> ipv4_;
  std::optional<Ipv6Prefix> ipv6_;
};

unsigned router_of(const Octets& frame) { return std::to_integer<unsigned>(frame[5]); }

MacAddress mac(std::string_view text) {
  MacAddress out{};
  const Octets wire = octets(text);
  std::copy_n(reinterpret_cast<const std::uint8_t*>(wire.data()), out.size(), out.begin());
  return out;
}

NextHop by_access_router() {
  return {NextHopKind::kResolved, kAccess, mac(kAccessRouterMac), mac(kAccessMac), {}};
}
NextHop by_core_router() {
  return {NextHopKind::kResolved, kCore, mac(kCoreRouterMac), mac(kCoreMac), {}};
}

// `s` as a client with another address on the access side.
Subscriber moved(World& world, Subscriber s, const std::string& peer) {
  s.peer = peer;
  world.record(s).peer = Ipv4Address(address(peer));
  return s;
}

// The IPv4 packet in a clear frame that was sent to a peer.
Octets inner_of(const Octets& frame) {
  const std::size_t gre = 34;
  const unsigned flags = get16(frame, gre);
  const std::size_t ppp = gre + 8 + ((flags & 0x1000) != 0 ? 4 : 0) + ((flags & 0x80) != 0 ? 4 : 0);
  return {frame.begin() + static_cast<long>(ppp) + 4, frame.end()};
}

}  // namespace

TEST_CASE("routing: an outer address may be another subscriber's inner address",
          "[pipeline][routing]") {
  World world;
  const ScopedRoute way(world.routing().outer, "10.64.0.0/16", by_access_router());
  const Subscriber inside = world.add(2);
  const Subscriber outside = moved(world, world.add(3), inside.address);
  (void)world.counted();
  const auto packet = [](const Subscriber& to, unsigned ttl) {
    return ip({.source = kServer, .destination = to.address, .ttl = ttl}, pattern(20));
  };
  // GRE to the client, and packets into the other's tunnel.
  world.receive(kCore, from_core(packet(outside, 64)));
  world.receive(kCore, from_core(packet(inside, 64)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2);
  CHECK(hex(out[0]) == hex(to_peer(outside, 0, 0, ppp("0021", packet(outside, 63)))));
  CHECK(hex(out[1]) == hex(to_peer(inside, 0, 0, ppp("0021", packet(inside, 63)))));
  // And back.
  world.receive(
      kAccess,
      from_peer(outside, 0,
                ppp("0021", ip({.source = outside.address, .destination = kServer}, pattern(20)))));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(world.drops().empty());
}

TEST_CASE("routing: the host's own stack counts the hop, not the dataplane",
          "[pipeline][routing]") {
  World world;
  NextHop host = by_core_router();
  host.is_host = true;
  const ScopedRoute way(world.routing().inner, "203.0.113.0/24", host);
  const Subscriber s = world.add(2);
  (void)world.counted();
  // A packet that arrives with a TTL of 1 is for the host, or the host answers it.
  std::uint32_t sequence = 0;
  for (const unsigned ttl : {64U, 1U}) {
    const Octets packet =
        ip({.source = s.address, .destination = "203.0.113.9", .ttl = ttl}, pattern(20));
    world.receive(kAccess, from_peer(s, sequence++, ppp("0021", packet)));
    world.run();
    const auto sent = world.sent(kCore);
    REQUIRE(sent.size() == 1);
    CHECK(hex(Octets(sent[0].begin() + 14, sent[0].end())) == hex(packet));
  }
  CHECK(world.drops().empty());
}

TEST_CASE("routing: the kernel's frames for the access side never enter a tunnel",
          "[pipeline][routing]") {
  World world;
  const Subscriber inside = world.add(2);
  // A segment of TCP 1723 to a client whose outer address is a subscriber's inner one.
  const Octets segment =
      ip({.source = kLocal, .destination = inside.address, .protocol = 6}, pattern(20));
  const Octets frame = ethernet(kAccessRouterMac, kAccessMac, 0x0800, segment);
  (void)world.counted();
  world.from_twin(kAccess, frame);
  world.run();
  auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(frame));
  // The same frame when it has waited for a neighbour.
  world.send_frame(kAccess, frame);
  world.run();
  out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(frame));
  CHECK(world.record(inside).downstream.gre_packets.get() == 0);
  // From the core twin it is the subscriber's.
  world.from_twin(kCore, ethernet(kCoreRouterMac, kCoreMac, 0x0800, segment));
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(world.sent(kAccess).size() == 1);
  CHECK(world.record(inside).downstream.gre_packets.get() == 1);
}

TEST_CASE("routing: an answer of this host to a subscriber never leaves in the clear",
          "[pipeline][routing]") {
  World world;
  const Subscriber inside = world.add(2);
  const auto from_access_twin = [&](std::string_view source, unsigned protocol, Bytes payload) {
    world.from_twin(
        kAccess,
        ethernet(
            kAccessRouterMac, kAccessMac, 0x0800,
            ip({.source = source, .destination = inside.address, .protocol = protocol}, payload)));
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    return get16(out[0], 12) == 0x0800 && std::to_integer<unsigned>(out[0][23]) == 47;
  };
  // The kernel's default route leads to the access side; the address is one that subscribers reach.
  constexpr std::string_view kOwn = "10.0.0.1";
  CHECK(from_access_twin(kOwn, 17, pattern(20)));
  CHECK(from_access_twin(kOwn, 1, pattern(20)));
  CHECK(from_access_twin(kOwn, 6, pattern(20)));
  // A client of TCP 1723 with the same outer address, and GRE to it.
  CHECK_FALSE(from_access_twin(kOwn, 6, concat({octets("06bb c000"), pattern(16)})));
  CHECK_FALSE(from_access_twin(kLocal, 17, pattern(20)));
  CHECK_FALSE(from_access_twin("10.0.0.9", 17, pattern(20)));
}

TEST_CASE("routing: a subscriber reaches nothing on the access side", "[pipeline][routing]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  // The other clients' outer addresses, the access router's network, and the server's own address.
  std::uint32_t sequence = 0;
  for (const std::string_view destination : {"203.0.113.3", "198.51.100.254", "198.51.100.1"}) {
    CAPTURE(destination);
    world.receive(
        kAccess,
        from_peer(s, sequence++,
                  ppp("0021", ip({.source = s.address, .destination = destination}, pattern(20)))));
    world.run();
    CHECK(world.drops() == Counts{{"no_route", 1}});
    CHECK(world.sent(kCore).empty());
    CHECK(world.punted(kAccess).empty());
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    // ICMP destination unreachable, network, to the subscriber.
    const Octets report = inner_of(out[0]);
    CHECK(get32(report, 16) == address(s.address));
    CHECK(get16(report, 20) == 0x0300);
  }
  CHECK(world.record(s).upstream.drops.get() == 3);
}

TEST_CASE("routing: GRE never leaves by the core port", "[pipeline][routing]") {
  World world;
  // The inner table has a route to this address, the outer one has none.
  const Subscriber s = moved(world, world.add(2), "10.7.7.7");
  (void)world.counted();
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(20))));
  world.run();
  CHECK(world.drops() == Counts{{"no_route", 1}});
  CHECK(world.sent(kCore).empty());
  CHECK(world.sent(kAccess).empty());
}

TEST_CASE("routing: GRE that waits for a neighbour is marked as a packet of the outer network",
          "[pipeline][routing]") {
  World world;
  const Subscriber s = moved(world, world.add(2), "198.51.100.7");
  world.receive(kCore, from_core(ip({.source = kServer, .destination = s.address}, pattern(20))));
  // And one of a subscriber, which is not.
  world.receive(
      kAccess,
      from_peer(s, 0,
                ppp("0021", ip({.source = s.address, .destination = "10.99.0.4"}, pattern(20)))));
  world.run();
  const auto waiting = world.resolves();
  REQUIRE(waiting.size() == 2);
  for (const ResolveRequest& request : waiting) {
    CAPTURE(hex(request.frame));
    CHECK(request.outer == (request.port == kAccess));
  }
}

TEST_CASE("routing: both sides have a default route of their own", "[pipeline][routing]") {
  World world;
  const ScopedRoute outer(world.routing().outer, "0.0.0.0/0", by_access_router());
  const ScopedRoute inner(world.routing().inner, "0.0.0.0/0", by_core_router());
  const Subscriber s = moved(world, world.add(2), "192.0.2.200");
  (void)world.counted();
  // The Internet is where both the client and the host that it talks to are.
  const auto up = ip({.source = s.address, .destination = "192.0.2.99", .ttl = 9}, pattern(20));
  const auto down = ip({.source = "192.0.2.99", .destination = s.address, .ttl = 9}, pattern(20));
  world.receive(kAccess, from_peer(s, 0, ppp("0021", up)));
  world.receive(kCore, from_core(down));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(world.sent(kAccess).size() == 1);
  CHECK(world.drops().empty());
}

TEST_CASE("routing: routes of equal cost are shared by flow, and a flow keeps its own",
          "[pipeline][routing][ecmp]") {
  World world;
  const Group inner(world.routing().inner, "192.0.2.0/24", by_core_router());
  const Group outer(world.routing().outer, "192.0.2.0/24", by_access_router());
  const Subscriber s = world.add(2);
  (void)world.counted();
  // Upstream: UDP to one host, 64 ports, each twice; a later fragment of each has no ports.
  std::map<unsigned, std::set<unsigned>> by_port;
  std::map<unsigned, unsigned> by_router;
  std::uint32_t sequence = 0;
  for (unsigned round = 0; round < 2; ++round)
    for (unsigned port = 0; port < 64; ++port) {
      Octets udp = pattern(20);
      put16(udp, 0, 1000 + port);
      world.receive(
          kAccess,
          from_peer(
              s, sequence++,
              ppp("0021",
                  ip({.source = s.address, .destination = "192.0.2.7", .protocol = 17}, udp))));
      world.run();
      const auto out = world.sent(kCore);
      REQUIRE(out.size() == 1);
      by_port[port].insert(router_of(out[0]));
      ++by_router[router_of(out[0])];
    }
  for (const auto& [port, routers] : by_port) CHECK(routers.size() == 1);
  REQUIRE(by_router.size() == Group::kRouters);
  for (const auto& [router, packets] : by_router) CHECK(packets >= 16);
  // Fragments of one packet go one way, with ports and without.
  std::set<unsigned> routers;
  for (const unsigned flags : {0x2000U, 0x2003U, 0x0006U}) {
    Octets data = pattern(24);
    put16(data, 0, 5000 + flags);
    world.receive(kAccess, from_peer(s, sequence++,
                                     ppp("0021", ip({.source = s.address,
                                                     .destination = "192.0.2.7",
                                                     .protocol = 17,
                                                     .flags_offset = flags},
                                                    data))));
    world.run();
    const auto out = world.sent(kCore);
    REQUIRE(out.size() == 1);
    routers.insert(router_of(out[0]));
  }
  CHECK(routers.size() == 1);

  // Downstream: a session's GRE keeps its router, whatever is inside.
  world.advance(200'000'000);
  world.run();
  (void)world.sent(kAccess);  // acknowledgements
  std::map<unsigned, unsigned> sessions;
  for (unsigned n = 3; n < 35; ++n) {
    const Subscriber to = moved(world, world.add(n), "192.0.2.100");
    std::set<unsigned> used;
    for (unsigned port = 0; port < 8; ++port) {
      Octets udp = pattern(20);
      put16(udp, 0, 1000 + port);
      world.receive(
          kCore,
          from_core(ip({.source = kServer, .destination = to.address, .protocol = 17}, udp)));
      world.run();
      for (const Octets& frame : world.sent(kAccess)) used.insert(router_of(frame));
    }
    CHECK(used.size() == 1);
    ++sessions[*used.begin()];
  }
  REQUIRE(sessions.size() == Group::kRouters);
  for (const auto& [router, count] : sessions) CHECK(count >= 2);
  CHECK(world.drops().empty());
}

TEST_CASE("routing: ipv6: routes of equal cost are shared by flow",
          "[pipeline][routing][ecmp][ipv6]") {
  World world;
  const Group group(world.routing().inner, "2001:db8:ec::/48", by_core_router());
  const Subscriber s = world.add(2);
  world.open_ipv6(s);
  (void)world.counted();
  std::map<unsigned, unsigned> by_router;
  std::uint32_t sequence = 0;
  for (unsigned port = 0; port < 64; ++port) {
    std::set<unsigned> used;
    for (unsigned round = 0; round < 2; ++round) {
      Octets tcp = pattern(20);
      put16(tcp, 0, 1000 + port);
      world.receive(kAccess, from_peer(s, sequence++,
                                       ppp("0057", ip6({.source = s.address6,
                                                        .destination = "2001:db8:ec::7",
                                                        .next_header = 17},
                                                       tcp))));
      world.run();
      const auto out = world.sent(kCore);
      REQUIRE(out.size() == 1);
      used.insert(router_of(out[0]));
    }
    CHECK(used.size() == 1);
    ++by_router[*used.begin()];
  }
  REQUIRE(by_router.size() == Group::kRouters);
  for (const auto& [router, packets] : by_router) CHECK(packets >= 8);
}

TEST_CASE("routing: a longer route inside a pool leads where it says, but not past a session",
          "[pipeline][routing]") {
  World world;
  NextHop by_core = by_core_router();
  by_core.in_pool = true;
  const ScopedRoute longer(world.routing().inner, "10.65.7.0/24", by_core);
  const Subscriber from = world.add(2);
  const Subscriber to = world.add(3, std::string("10.65.7.9"), 0x0103);
  const auto packet = [&](std::string_view destination) {
    return ppp("0021", ip({.source = from.address, .destination = destination}, pattern(20)));
  };
  (void)world.counted();
  world.receive(kAccess, from_peer(from, 0, packet("10.65.7.10")));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  // Main gives a session in a pool no route of its own.
  REQUIRE(world.routing().inner.delete_route(*Ipv4Prefix::parse("10.65.7.9/32")));
  world.receive(kAccess, from_peer(from, 1, packet(to.address)));
  world.run();
  CHECK(world.sent(kCore).empty());
  CHECK(world.sent(kAccess).size() == 1);
  CHECK(world.record(to).downstream.gre_packets.get() == 1);
}
