// SPDX-License-Identifier: BSD-3-Clause
//
// Routes against the real kernel, in a network namespace that the process makes for itself. ip(8)
// configures it as an operator would. Skipped without the right to make one.
#include "dataplane/routing/routes.hpp"

#include <poll.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "dataplane/routing/mapped_address.hpp"

using namespace pns;
using namespace pns::dataplane;
using contract::PortRole;

namespace {

const MacAddress kAccessMac{2, 0, 0, 0, 0, 1};
const MacAddress kCoreMac{2, 0, 0, 0, 0, 2};

// Either family, as next hops are written.
Ipv6Address ip(const char* text) {
  if (const auto ipv4 = Ipv4Address::parse(text)) return mapped(*ipv4);
  return Ipv6Address::parse(text).value();
}

void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(("ip " + command).c_str()) == 0);
}

// One namespace for the process; interfaces and routes anew for each test.
void fresh_network() {
  static const bool made = ::unshare(CLONE_NEWNET) == 0;
  if (!made || std::system("ip link show lo > /dev/null 2>&1") != 0) {
    WARN("no network namespace: skipped");
    ::_exit(77);
  }
  (void)!std::system("ip link del t-access 2> /dev/null; ip link del t-core 2> /dev/null");
  run("link add t-access type veth peer name t-access-far");
  run("link add t-core type veth peer name t-core-far");
  for (const char* name : {"t-access", "t-access-far", "t-core", "t-core-far"})
    run(std::string("link set ") + name + " up");
  run("addr add 198.51.100.1/24 dev t-access");
  run("addr add 10.0.0.1/24 dev t-core");
}

rte_mempool* pool() {
  static rte_mempool* made =
      rte_pktmbuf_pool_create("routes-test", 2047, 0, 0, 2048, SOCKET_ID_ANY);
  return made;
}

struct World {
  std::unique_ptr<NextHops> outer;
  std::unique_ptr<NextHops> inner;
  std::vector<std::pair<PortRole, rte_mbuf*>> released;
  std::unique_ptr<Routes> routes;
  unsigned unanswered = 0;
  std::uint64_t now_ns = 1;

  explicit World(std::vector<Ipv6Prefix> pools = {}, bool access_from_inside = false,
                 bool core_leads_to_host = false, const char* core = "t-core",
                 Quiescence quiescence = {}, bool relays_broadcasts = false) {
    static int number = 0;
    const std::string name = "t" + std::to_string(number++);
    outer = NextHops::create((name + "o").c_str(), {1024, 0}).value();
    inner = NextHops::create((name + "i").c_str(), {1024, 1024}).value();
    Routes::Settings settings;
    settings.ports = {Routes::PortInfo{"t-access", kAccessMac, 1723},
                      {core, kCoreMac, 1724, core_leads_to_host}};
    settings.pools = std::move(pools);
    settings.access_from_inside = access_from_inside;
    settings.quiescence = std::move(quiescence);
    settings.relays_broadcasts = relays_broadcasts;
    routes = std::make_unique<Routes>(
        RoutingTables{*outer, *inner}, std::move(settings),
        [this](PortRole port, rte_mbuf* packet) { released.emplace_back(port, packet); },
        [this](PortRole, rte_mbuf*) { ++unanswered; });
    REQUIRE(routes->start());
  }
  ~World() {
    for (auto& [port, packet] : released) rte_pktmbuf_free(packet);
    routes.reset();
    CHECK(rte_mempool_in_use_count(pool()) == 0);
  }

  static NextHop find(const NextHops& table, const char* address) {
    const Ipv6Address wanted = ip(address);
    return table.get(is_mapped(wanted) ? table.lookup(unmapped(wanted)) : table.lookup(wanted));
  }
  // Gateways of the group that a destination leads to, with the number of their buckets; empty: it
  // leads to no group.
  std::map<std::string, unsigned> shares(const char* address) const {
    const Ipv6Address wanted = ip(address);
    const NextHopId id =
        is_mapped(wanted) ? inner->lookup(unmapped(wanted)) : inner->lookup(wanted);
    std::map<std::string, unsigned> count;
    if (!NextHops::is_group(id)) return count;
    for (std::uint32_t bucket = 0; bucket < NextHops::kGroupBuckets; ++bucket) {
      const NextHop hop = inner->get(inner->member(id, bucket << 26));
      CHECK(hop.port == PortRole::kCore);
      ++count[is_mapped(hop.gateway)               ? unmapped(hop.gateway).to_string()
              : hop.kind == NextHopKind::kResolved ? std::to_string(hop.destination[5])
                                                   : hop.gateway.to_string()];
    }
    return count;
  }
  std::vector<NextHopId> members(const char* address) const {
    std::vector<NextHopId> all;
    const NextHopId id = inner->lookup(unmapped(ip(address)));
    for (std::uint32_t bucket = 0; bucket < NextHops::kGroupBuckets; ++bucket)
      all.push_back(inner->member(id, bucket << 26));
    return all;
  }

  // Where a packet goes that comes out of a tunnel, and where one to a peer does.
  NextHop to(const char* address) const { return find(*inner, address); }
  NextHop out(const char* address) const { return find(*outer, address); }

  // Takes netlink events until the condition holds.
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      pollfd wait{routes->fd(), POLLIN, 0};
      if (::poll(&wait, 1, 20) > 0) routes->on_readable(now_ns);
      now_ns += 10'000'000;
      routes->on_timer(now_ns);
    }
    return true;
  }

  rte_mbuf* packet() {
    rte_mbuf* made = rte_pktmbuf_alloc(pool());
    REQUIRE(made != nullptr);
    std::memset(rte_pktmbuf_append(made, 60), 0, 60);
    return made;
  }
};

}  // namespace

TEST_CASE("routes: a connected network is on link, our own address is local",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  const auto host = world.to("10.0.0.9");
  CHECK(host.kind == NextHopKind::kGlean);
  CHECK(host.port == PortRole::kCore);
  CHECK(host.source == kCoreMac);
  CHECK(host.gateway.is_unspecified());
  CHECK(world.out("198.51.100.200").kind == NextHopKind::kGlean);
  CHECK(world.out("198.51.100.200").port == PortRole::kAccess);
  CHECK(world.out("198.51.100.1").kind == NextHopKind::kLocal);
  CHECK(world.to("10.0.0.1").kind == NextHopKind::kLocal);
  // Neither table has anything of the other port.
  for (const char* theirs : {"198.51.100.200", "198.51.100.1"})
    CHECK(world.to(theirs).kind == NextHopKind::kUnreachable);
  for (const char* theirs : {"10.0.0.9", "10.0.0.1"})
    CHECK(world.out(theirs).kind == NextHopKind::kUnreachable);
  CHECK(world.to("192.0.2.1").kind == NextHopKind::kUnreachable);
  CHECK(world.routes->addresses(PortRole::kAccess) == std::vector{unmapped(ip("198.51.100.1"))});

  run("addr add 10.0.0.2/24 dev t-core");
  CHECK(world.until([&] { return world.to("10.0.0.2").kind == NextHopKind::kLocal; }));
  run("addr del 10.0.0.2/24 dev t-core");
  CHECK(world.until([&] { return world.to("10.0.0.2").kind == NextHopKind::kGlean; }));
}

TEST_CASE("routes: a neighbour that appears is resolved, one that goes is on link again",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  run("neigh add 10.0.0.9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kResolved; }));
  const auto hop = world.to("10.0.0.9");
  CHECK(hop.destination == MacAddress{2, 0x11, 0x22, 0x33, 0x44, 0x55});
  CHECK(hop.source == kCoreMac);
  CHECK(world.to("10.0.0.10").kind == NextHopKind::kGlean);
  run("neigh replace 10.0.0.9 lladdr 02:11:22:33:44:66 dev t-core nud reachable");
  CHECK(world.until([&] { return world.to("10.0.0.9").destination[5] == 0x66; }));
  run("neigh del 10.0.0.9 dev t-core");
  CHECK(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kGlean; }));
}

TEST_CASE("routes: a neighbour counts only where the kernel would reach it directly",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  // The kernel's state after an ARP request that claimed a core server's address on the access
  // side.
  run("neigh add 10.0.0.53 lladdr 02:66:66:66:66:66 dev t-access nud stale");
  run("neigh add 203.0.113.5 lladdr 02:66:66:66:66:66 dev t-access nud stale");
  run("neigh add 198.51.100.77 lladdr 02:77:77:77:77:77 dev t-access nud stale");
  REQUIRE(world.until([&] { return world.out("198.51.100.77").kind == NextHopKind::kResolved; }));
  CHECK(world.out("10.0.0.53").kind == NextHopKind::kUnreachable);
  CHECK(world.out("203.0.113.5").kind == NextHopKind::kUnreachable);
  CHECK(world.to("10.0.0.53").port == PortRole::kCore);
  CHECK(world.to("10.0.0.53").kind == NextHopKind::kGlean);
  CHECK(world.to("203.0.113.5").kind == NextHopKind::kUnreachable);
  // A host route through a gateway is not bent by a neighbour entry either.
  run("route add 10.0.0.60/32 via 10.0.0.254 dev t-core");
  run("neigh add 10.0.0.60 lladdr 02:66:66:66:66:66 dev t-core nud stale");
  REQUIRE(world.until([&] { return world.to("10.0.0.60").gateway == ip("10.0.0.254"); }));
}

TEST_CASE("routes: broadcast addresses of the core port lead to the relay, where there is one",
          "[dataplane][routes][broadcast]") {
  fresh_network();
  run("addr add 10.9.0.1/31 dev t-core");
  {
    World world;
    CHECK(world.to("10.0.0.255").kind == NextHopKind::kGlean);
  }
  // The address may lie in a pool.
  World world({{ip("10.0.0.192"), 96 + 26}}, false, false, "t-core", {}, true);
  CHECK(world.to("10.0.0.255").kind == NextHopKind::kBroadcast);
  CHECK(world.to("10.0.0.255").asks_sessions());
  CHECK(world.to("10.0.0.254").kind == NextHopKind::kPool);
  CHECK(world.to("10.0.0.9").kind == NextHopKind::kGlean);
  CHECK(world.to("10.9.0.1").kind == NextHopKind::kLocal);  // no broadcast (RFC 3021)
  CHECK(world.to("198.51.100.255").kind == NextHopKind::kUnreachable);
  CHECK(world.routes->networks(PortRole::kCore).size() == 2);
  run("addr add 10.8.0.1/16 dev t-core");
  CHECK(world.until([&] { return world.to("10.8.255.255").kind == NextHopKind::kBroadcast; }));
  run("addr del 10.8.0.1/16 dev t-core");
  CHECK(world.until([&] { return world.to("10.8.255.255").kind == NextHopKind::kUnreachable; }));
}

TEST_CASE("routes: a default route goes by way of its gateway, resolved once that is known",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  run("route add default via 198.51.100.254");
  REQUIRE(world.until([&] { return world.out("8.8.8.8").kind == NextHopKind::kGlean; }));
  CHECK(world.out("8.8.8.8").gateway == ip("198.51.100.254"));
  // It is the peers' way, and no subscriber's.
  CHECK(world.to("8.8.8.8").kind == NextHopKind::kUnreachable);
  run("neigh replace 198.51.100.254 lladdr 02:aa:aa:aa:aa:aa dev t-access nud reachable");
  REQUIRE(world.until([&] { return world.out("8.8.8.8").kind == NextHopKind::kResolved; }));
  CHECK(world.out("8.8.8.8").destination == MacAddress{2, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa});
  // A second one with a worse metric is the best of its port.
  run("route add default via 10.0.0.254 metric 500");
  REQUIRE(world.until([&] { return world.to("8.8.8.8").gateway == ip("10.0.0.254"); }));
  CHECK(world.out("8.8.8.8").port == PortRole::kAccess);
  run("route del default via 198.51.100.254");
  CHECK(world.until([&] { return world.out("8.8.8.8").kind == NextHopKind::kUnreachable; }));
  CHECK(world.to("8.8.8.8").gateway == ip("10.0.0.254"));
}

TEST_CASE("routes: a port's own table comes before the main one, and is no other port's",
          "[dataplane][routes]") {
  fresh_network();
  const auto flush = [] {
    for (const char* table : {"1723", "1724", "99"})
      (void)!std::system((std::string("ip route flush table ") + table + " 2> /dev/null").c_str());
  };
  flush();
  run("route add default via 10.0.0.254 metric 1");
  run("route add default via 10.0.0.7 table 1724 metric 500");
  run("route add default via 198.51.100.7 table 1723");
  run("route add default via 10.0.0.66 table 1723 metric 5");  // by the core: not for this table
  // One network behind each, and what is blackholed in one table only.
  run("route add 10.9.0.0/16 via 198.51.100.9 table 1723");
  run("route add 10.9.0.0/16 via 10.0.0.9 table 1724");
  run("route add blackhole 192.0.2.0/24 table 1724");
  run("route add 203.0.113.0/24 via 10.0.0.99 table 99");
  World world;
  CHECK(world.to("8.8.8.8").gateway == ip("10.0.0.7"));
  CHECK(world.out("8.8.8.8").gateway == ip("198.51.100.7"));
  CHECK(world.to("10.9.0.1").gateway == ip("10.0.0.9"));
  CHECK(world.out("10.9.0.1").gateway == ip("198.51.100.9"));
  CHECK(world.to("192.0.2.1").kind == NextHopKind::kUnreachable);
  CHECK(world.out("192.0.2.1").gateway == ip("198.51.100.7"));
  CHECK(world.to("203.0.113.1").gateway == ip("10.0.0.7"));
  run("route del default table 1724");
  CHECK(world.until([&] { return world.to("8.8.8.8").gateway == ip("10.0.0.254"); }));
  run("route del default via 10.0.0.254");
  CHECK(world.until([&] { return world.to("8.8.8.8").kind == NextHopKind::kUnreachable; }));
  run("-6 addr add 2001:db8:c::1/64 dev t-core nodad");
  run("-6 route add default via fe80::7 dev t-core table 1724");
  CHECK(world.until([&] { return world.to("2001:db8::1").gateway == ip("fe80::7"); }));
  flush();
}

TEST_CASE("routes: those that the kernel drops with an address are gone here too",
          "[dataplane][routes]") {
  fresh_network();
  (void)!std::system("ip route flush table 1724 2> /dev/null");
  run("route add 10.0.0.0/24 dev t-core table 1724");
  run("route add default via 10.0.0.254 table 1724");
  World world;
  REQUIRE(world.to("8.8.8.8").gateway == ip("10.0.0.254"));
  run("addr del 10.0.0.1/24 dev t-core");
  CHECK(world.until([&] { return world.to("8.8.8.8").kind == NextHopKind::kUnreachable; }));
  CHECK(world.to("10.0.0.9").kind == NextHopKind::kUnreachable);
  run("addr add 10.0.0.1/24 dev t-core");
  CHECK(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kGlean; }));
}

TEST_CASE("routes: on request the inside has the routes of the access port, behind the core's",
          "[dataplane][routes]") {
  fresh_network();
  run("route add 10.8.0.0/16 via 198.51.100.254");
  run("route add 10.9.0.0/16 via 198.51.100.254");
  run("route add 10.9.0.0/16 via 10.0.0.254 metric 500");
  run("neigh add 198.51.100.77 lladdr 02:77:77:77:77:77 dev t-access nud reachable");
  World world({}, true);
  CHECK(world.to("10.8.0.1").gateway == ip("198.51.100.254"));
  CHECK(world.to("10.9.0.1").gateway == ip("10.0.0.254"));
  CHECK(world.to("198.51.100.1").kind == NextHopKind::kLocal);
  CHECK(world.to("198.51.100.77").kind == NextHopKind::kResolved);
  CHECK(world.to("198.51.100.77").port == PortRole::kAccess);
  CHECK(world.out("10.9.0.1").gateway == ip("198.51.100.254"));
  CHECK(world.out("10.0.0.9").kind == NextHopKind::kUnreachable);
  run("neigh del 198.51.100.77 dev t-access");
  CHECK(world.until([&] { return world.to("198.51.100.77").kind == NextHopKind::kGlean; }));
}

TEST_CASE("routes: what is for a subscriber asks the sessions, wherever a longer route leads",
          "[dataplane][routes]") {
  fresh_network();
  run("route add 10.64.7.0/24 via 10.0.0.3 dev t-core");
  run("route add blackhole 10.64.8.0/24");
  run("route add 192.0.2.0/24 via 10.0.0.3 dev t-core");
  World world({mapped(Ipv4Prefix::parse("10.64.0.0/16").value())});
  for (const char* inside : {"10.64.0.9", "10.64.7.9", "10.64.8.9"})
    CHECK(world.to(inside).asks_sessions());
  CHECK(world.to("10.64.7.9").gateway == ip("10.0.0.3"));
  CHECK(world.to("10.64.8.9").kind == NextHopKind::kUnreachable);
  for (const char* outside : {"192.0.2.9", "10.0.0.9", "10.63.255.255", "10.65.0.0", "8.8.8.8"})
    CHECK_FALSE(world.to(outside).asks_sessions());
  // A host of the link inside the pool.
  run("addr add 10.64.9.1/24 dev t-core");
  run("neigh add 10.64.9.9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("10.64.9.9").kind == NextHopKind::kResolved; }));
  CHECK(world.to("10.64.9.9").asks_sessions());
  run("neigh del 10.64.9.9 dev t-core");
  REQUIRE(world.until([&] { return world.to("10.64.9.9").kind == NextHopKind::kGlean; }));
  CHECK(world.to("10.64.9.9").asks_sessions());
}

TEST_CASE("routes: an address that a session has outside the pools leads to it meanwhile",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  const auto host = [](const char* address) { return Ipv6Prefix{ip(address), 128}; };
  world.routes->add_subscriber(host("192.0.2.7"));
  CHECK(world.to("192.0.2.7").kind == NextHopKind::kPool);
  CHECK(world.to("192.0.2.8").kind == NextHopKind::kUnreachable);
  CHECK(world.out("192.0.2.7").kind == NextHopKind::kUnreachable);
  world.routes->remove_subscriber(host("192.0.2.7"));
  CHECK(world.to("192.0.2.7").kind == NextHopKind::kUnreachable);

  // It stands before a neighbour's route and the kernel's, which are there again behind it.
  const auto seen = [](const std::string& mac) {
    run("neigh replace 10.0.0.9 lladdr " + mac + " dev t-core nud reachable");
  };
  seen("02:11:22:33:44:55");
  REQUIRE(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kResolved; }));
  world.routes->add_subscriber(host("10.0.0.9"));
  CHECK(world.to("10.0.0.9").kind == NextHopKind::kPool);
  seen("02:11:22:33:44:66");
  run("route add 192.0.2.0/24 via 10.0.0.3 dev t-core");
  REQUIRE(world.until([&] { return world.to("192.0.2.1").kind == NextHopKind::kGlean; }));
  CHECK(world.to("10.0.0.9").kind == NextHopKind::kPool);
  world.routes->remove_subscriber(host("10.0.0.9"));
  CHECK(world.to("10.0.0.9").destination[5] == 0x66);

  const Ipv6Prefix prefix = Ipv6Prefix::parse("2001:db8:7:7::/64").value();
  run("-6 addr add 2001:db8:c::1/64 dev t-core nodad");
  run("-6 route add 2001:db8:7:7:8::/80 via 2001:db8:c::2");
  REQUIRE(world.until([&] { return world.to("2001:db8:7:7:8::1").kind == NextHopKind::kGlean; }));
  world.routes->add_subscriber(prefix);
  CHECK(world.to("2001:db8:7:7::1").kind == NextHopKind::kPool);
  CHECK(world.until([&] { return world.to("2001:db8:7:7:8::1").asks_sessions(); }));
  world.routes->remove_subscriber(prefix);
  CHECK(world.to("2001:db8:7:7::1").kind == NextHopKind::kUnreachable);
}

TEST_CASE("routes: a port into the host's own stack takes everything but the pools' packets",
          "[dataplane][routes]") {
  fresh_network();
  run("route add 192.0.2.0/24 via 10.0.0.254 dev t-core");
  run("neigh add 10.0.0.7 lladdr 02:00:00:00:00:07 dev t-core");
  World world({{ip("10.64.0.0"), 96 + 16}}, false, true);
  // The kernel's own routes, addresses and neighbours there are its own business.
  for (const char* anywhere : {"203.0.113.1", "192.0.2.1", "10.0.0.1", "10.0.0.7", "2001:db8::1"}) {
    INFO(anywhere);
    const NextHop hop = world.to(anywhere);
    CHECK(hop.kind == NextHopKind::kResolved);
    CHECK(hop.port == PortRole::kCore);
    CHECK(hop.destination == kCoreMac);
    CHECK(hop.source == kCoreMac);
    CHECK(hop.is_host);
    CHECK(hop.keeps_ttl());
    CHECK_FALSE(hop.asks_sessions());
  }
  CHECK(world.to("10.64.3.4").kind == NextHopKind::kPool);
  // The outer table is the access port's, as ever, and no hop of it is the host.
  CHECK(world.out("198.51.100.9").port == PortRole::kAccess);
  CHECK_FALSE(world.out("198.51.100.9").is_host);
  CHECK(world.routes->addresses(PortRole::kCore) == std::vector{unmapped(ip("10.0.0.1"))});
  // It stays when the kernel's routes change.
  const auto before = world.routes->rebuilds();
  run("route del 192.0.2.0/24");
  CHECK(world.until([&] { return world.routes->rebuilds() > before; }));
  CHECK(world.to("192.0.2.1").is_host);
}

TEST_CASE("routes: on one link the link's own addresses are out of reach from inside",
          "[dataplane][routes]") {
  fresh_network();
  for (const bool from_inside : {false, true}) {
    CAPTURE(from_inside);
    World world({}, from_inside, false, "t-access");
    CHECK(world.to("198.51.100.1").kind ==
          (from_inside ? NextHopKind::kLocal : NextHopKind::kUnreachable));
    CHECK(world.out("198.51.100.1").kind == NextHopKind::kLocal);
    // Its hosts are in reach from both sides, and known to both.
    run("neigh replace 198.51.100.7 lladdr 02:00:00:00:00:07 dev t-access");
    CHECK(world.until([&] {
      return world.to("198.51.100.7").kind == NextHopKind::kResolved &&
             world.out("198.51.100.7").kind == NextHopKind::kResolved;
    }));
    CHECK(world.to("198.51.100.7").port == PortRole::kCore);
    CHECK(world.out("198.51.100.7").port == PortRole::kAccess);
    run("neigh del 198.51.100.7 dev t-access");
  }
}

TEST_CASE("routes: the better metric wins, and what is blackholed is unreachable",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  run("route add 172.16.0.0/16 via 10.0.0.2 metric 200");
  run("route add 172.16.0.0/16 via 10.0.0.3 metric 100");
  run("route add blackhole 172.16.9.0/24");
  REQUIRE(world.until([&] { return world.to("172.16.1.1").gateway == ip("10.0.0.3"); }));
  CHECK(world.until([&] { return world.to("172.16.9.1").kind == NextHopKind::kUnreachable; }));
  run("route del 172.16.0.0/16 via 10.0.0.3 metric 100");
  CHECK(world.until([&] { return world.to("172.16.1.1").gateway == ip("10.0.0.2"); }));
}

TEST_CASE("routes: next hops of equal cost share the flows by their weight",
          "[dataplane][routes][ecmp]") {
  using Shares = std::map<std::string, unsigned>;
  fresh_network();
  World world;
  run("route add 172.16.0.0/16 nexthop via 10.0.0.2 dev t-core "
      "nexthop via 10.0.0.3 dev t-core weight 3 nexthop via 198.51.100.9 dev t-access");
  REQUIRE(world.until([&] { return !world.shares("172.16.1.1").empty(); }));
  CHECK(world.shares("172.16.1.1") == Shares{{"10.0.0.2", 16}, {"10.0.0.3", 48}});
  CHECK(world.out("172.16.1.1").gateway == ip("198.51.100.9"));
  // The same next hops are the same group, in whatever order.
  run("route add 172.17.0.0/16 nexthop via 10.0.0.3 dev t-core weight 3 "
      "nexthop via 10.0.0.2 dev t-core");
  REQUIRE(world.until([&] { return !world.shares("172.17.1.1").empty(); }));
  CHECK(world.inner->lookup(unmapped(ip("172.16.1.1"))) ==
        world.inner->lookup(unmapped(ip("172.17.1.1"))));
  run("route replace 172.16.0.0/16 via 10.0.0.2 dev t-core");
  REQUIRE(world.until([&] { return world.to("172.16.1.1").gateway == ip("10.0.0.2"); }));
  CHECK(world.shares("172.17.1.1") == Shares{{"10.0.0.2", 16}, {"10.0.0.3", 48}});
  run("route del 172.17.0.0/16");
  CHECK(world.until([&] {
    return world.to("172.17.1.1").kind == NextHopKind::kUnreachable &&
           world.shares("172.17.1.1").empty();
  }));
}

TEST_CASE("routes: a next hop that does not answer gives its flows away, and gets them back",
          "[dataplane][routes][ecmp]") {
  using Shares = std::map<std::string, unsigned>;
  fresh_network();
  run("route add 172.16.0.0/16 nexthop via 10.0.0.2 dev t-core "
      "nexthop via 10.0.0.3 dev t-core nexthop via 10.0.0.4 dev t-core nexthop via 10.0.0.5 dev "
      "t-core");
  World world;
  const auto answers = [](const char* who, const char* octet) {
    run(std::string("neigh replace ") + who + " lladdr 02:00:00:00:00:" + octet +
        " dev t-core nud reachable");
  };
  // Nobody is known: all are asked for, by packets too.
  CHECK(world.shares("172.16.1.1").size() == 4);
  answers("10.0.0.2", "02");
  REQUIRE(world.until([&] { return world.shares("172.16.1.1") == Shares{{"2", 64}}; }));
  answers("10.0.0.3", "03");
  answers("10.0.0.4", "04");
  answers("10.0.0.5", "05");
  REQUIRE(world.until([&] { return world.shares("172.16.1.1").size() == 4; }));
  CHECK(world.shares("172.16.1.1") == Shares{{"2", 16}, {"3", 16}, {"4", 16}, {"5", 16}});
  const auto before = world.members("172.16.1.1");
  const NextHopId gone = before[20];
  run("neigh del 10.0.0.3 dev t-core");
  REQUIRE(world.until([&] { return world.shares("172.16.1.1").size() == 3; }));
  for (const auto& [gateway, share] : world.shares("172.16.1.1")) CHECK(share >= 21);
  // The flows of the others stay where they are.
  const auto meanwhile = world.members("172.16.1.1");
  for (std::size_t bucket = 0; bucket < before.size(); ++bucket)
    if (before[bucket] != gone) CHECK(meanwhile[bucket] == before[bucket]);
  answers("10.0.0.3", "03");
  REQUIRE(world.until([&] { return world.shares("172.16.1.1").size() == 4; }));
  CHECK(world.members("172.16.1.1") == before);
}

TEST_CASE("routes: next hops of equal cost as objects of the kernel, and of ipv6",
          "[dataplane][routes][ecmp]") {
  using Shares = std::map<std::string, unsigned>;
  fresh_network();
  World world;
  run("nexthop add id 1 via 10.0.0.2 dev t-core");
  run("nexthop add id 2 via 10.0.0.3 dev t-core");
  run("nexthop add id 10 group 1/2");
  run("route add 172.18.0.0/16 nhid 10");
  REQUIRE(world.until([&] { return !world.shares("172.18.1.1").empty(); }));
  CHECK(world.shares("172.18.1.1") == Shares{{"10.0.0.2", 32}, {"10.0.0.3", 32}});
  run("-6 addr add 2001:db8:c::1/64 dev t-core nodad");
  run("-6 route add 2001:db8:e::/48 nexthop via 2001:db8:c::2 dev t-core "
      "nexthop via fe80::3 dev t-core");
  REQUIRE(world.until([&] { return !world.shares("2001:db8:e::1").empty(); }));
  CHECK(world.shares("2001:db8:e::1") == Shares{{"2001:db8:c::2", 32}, {"fe80::3", 32}});
  run("-6 route append 2001:db8:e::/48 via 2001:db8:c::4 dev t-core");
  CHECK(world.until([&] { return world.shares("2001:db8:e::1").size() == 3; }));
  run("-6 route del 2001:db8:e::/48 via fe80::3 dev t-core");
  CHECK(world.until([&] {
    const auto shares = world.shares("2001:db8:e::1");
    return shares.size() == 2 && !shares.contains("fe80::3");
  }));
}

TEST_CASE("routes: packets wait for their neighbour, and leave with its MAC",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  for (int i = 0; i < 68; ++i)
    world.routes->hold(PortRole::kCore, ip("10.0.0.9"), world.packet(), world.now_ns);
  CHECK(world.routes->unresolved_drops() == 4);  // 64 may wait for one neighbour
  run("neigh replace 10.0.0.9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.released.size() == 64; }));
  const auto* ethernet = rte_pktmbuf_mtod(world.released.front().second, const rte_ether_hdr*);
  CHECK(ethernet->dst_addr.addr_bytes[5] == 0x55);
  CHECK(world.released.front().first == PortRole::kCore);
  world.routes->hold(PortRole::kCore, ip("10.0.0.9"), world.packet(), world.now_ns);
  CHECK(world.released.size() == 65);  // known by now
}

TEST_CASE("routes: packets for a neighbour that never answers are dropped, and waiting is bounded",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  for (std::uint32_t i = 0; i < 2000; ++i)
    world.routes->hold(PortRole::kCore, mapped(Ipv4Address(0x0a000000 + 2 + i % 400)),
                       world.packet(), world.now_ns);
  CHECK(rte_mempool_in_use_count(pool()) <= 1024);
  for (int second = 0; second < 12; ++second) world.routes->on_timer(world.now_ns += 1'000'000'000);
  CHECK(rte_mempool_in_use_count(pool()) == 0);
  CHECK(world.routes->unresolved_drops() == 2000);
  // Its place is free again.
  world.routes->hold(PortRole::kCore, ip("10.0.0.250"), world.packet(), world.now_ns);
  CHECK(rte_mempool_in_use_count(pool()) == 1);
}

TEST_CASE(
    "routes: an address of a pool leads nowhere, unless a longer route or our own address does",
    "[dataplane][routes]") {
  fresh_network();
  World world({mapped(Ipv4Prefix::parse("10.0.0.128/25").value()),
               Ipv6Prefix::parse("2001:db8:64::/48").value()});
  CHECK(world.to("10.0.0.200").kind == NextHopKind::kPool);
  CHECK(world.to("10.0.0.9").kind == NextHopKind::kGlean);
  CHECK(world.to("2001:db8:64:1::7").kind == NextHopKind::kPool);
  run("addr add 10.0.0.129/24 dev t-core");
  CHECK(world.until([&] { return world.to("10.0.0.129").kind == NextHopKind::kLocal; }));
  // The kernel's own route to the pool changes nothing; a longer one is meant.
  run("route add 10.0.0.128/25 via 10.0.0.2 dev t-core");
  run("route add 10.0.0.224/28 via 10.0.0.3 dev t-core");
  REQUIRE(world.until([&] { return world.to("10.0.0.230").gateway == ip("10.0.0.3"); }));
  CHECK(world.to("10.0.0.200").kind == NextHopKind::kPool);
  run("route del 10.0.0.128/25");
  run("route add 192.0.2.0/24 via 10.0.0.3 dev t-core");
  REQUIRE(world.until([&] { return world.to("192.0.2.1").kind == NextHopKind::kGlean; }));
  CHECK(world.to("10.0.0.200").kind == NextHopKind::kPool);
}

TEST_CASE("routes: a neighbour that flaps does not make all routes be computed again",
          "[dataplane][routes]") {
  fresh_network();
  run("route add 192.168.0.0/16 via 10.0.0.254 dev t-core");
  World world;
  const auto flap = [&](const char* address, auto seen) {
    run(std::string("neigh replace ") + address +
        " lladdr 02:11:22:33:44:55 dev t-core nud reachable");
    REQUIRE(world.until([&] { return seen().kind == NextHopKind::kResolved; }));
    run(std::string("neigh replace ") + address + " lladdr 02:11:22:33:44:66 dev t-core nud stale");
    REQUIRE(world.until(
        [&] { return seen().destination == MacAddress{2, 0x11, 0x22, 0x33, 0x44, 0x66}; }));
    run(std::string("neigh del ") + address + " dev t-core");
    REQUIRE(world.until([&] { return seen().kind == NextHopKind::kGlean; }));
  };
  const auto before = world.routes->rebuilds();
  for (int n = 0; n < 5; ++n) {
    flap("10.0.0.9", [&] { return world.to("10.0.0.9"); });
    flap("10.0.0.254", [&] { return world.to("192.168.1.1"); });
  }
  // 30 events of neighbours, and few of other things: IPv6 finds its link-local addresses
  // meanwhile.
  CHECK(world.routes->rebuilds() < before + 10);
  CHECK(world.to("192.168.1.1").gateway == ip("10.0.0.254"));
  CHECK(world.to("10.0.0.9").gateway.is_unspecified());
  // The host route of the kernel is there again when its neighbour is not.
  run("route add 10.0.0.9/32 dev t-core");
  flap("10.0.0.9", [&] { return world.to("10.0.0.9"); });
  run("route del 10.0.0.9/32 dev t-core");
  flap("10.0.0.9", [&] { return world.to("10.0.0.9"); });
}

TEST_CASE("routes: many changes of many routes are taken together", "[dataplane][routes]") {
  fresh_network();
  World world;
  std::string lines;
  for (unsigned n = 0; n < 800; ++n)
    lines += "route add 172." + std::to_string(20 + n / 256) + "." + std::to_string(n % 256) +
             ".0/24 via 10.0.0.254 dev t-core\n";
  FILE* pipe = ::popen("ip -batch -", "w");
  REQUIRE(pipe != nullptr);
  std::fputs(lines.c_str(), pipe);
  REQUIRE(::pclose(pipe) == 0);
  REQUIRE(world.until([&] { return world.routes->routes() > 800; }));
  // 800 routes: 8 ms between two. Time stands still here.
  const auto before = world.routes->rebuilds();
  for (int n = 0; n < 20; ++n) {
    run("route add 10.77." + std::to_string(n) + ".0/24 via 10.0.0.253 dev t-core");
    world.routes->on_readable(world.now_ns);
  }
  CHECK(world.routes->rebuilds() <= before + 1);
  CHECK(world.until([&] { return world.to("10.77.19.1").gateway == ip("10.0.0.253"); }));
}

TEST_CASE("routes: gateways are found while a scan keeps all other neighbours waiting",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  run("route add 192.168.0.0/16 via 10.0.0.254 dev t-core");
  REQUIRE(world.until([&] { return world.to("192.168.0.1").gateway == ip("10.0.0.254"); }));
  for (int i = 0; i < 2'000; ++i)
    world.routes->hold(PortRole::kCore, mapped(Ipv4Address(0x0a000000 + 2 + i % 250)),
                       world.packet(), world.now_ns);
  world.routes->hold(PortRole::kCore, ip("10.0.0.254"), world.packet(), world.now_ns);
  run("neigh replace 10.0.0.254 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  CHECK(world.until([&] { return world.released.size() == 1; }));
}

TEST_CASE("routes: a neighbour that is given up is gone from the kernel's table",
          "[dataplane][routes]") {
  fresh_network();
  World world;
  world.routes->hold(PortRole::kCore, ip("10.0.0.77"), world.packet(), world.now_ns);
  const auto known = [] {
    return std::system("ip neigh show dev t-core | grep -q '^10.0.0.77 '") == 0;
  };
  CHECK(world.until([&] { return known(); }));
  for (int second = 0; second < 10; ++second) {
    world.now_ns += 1'000'000'000;
    world.routes->on_timer(world.now_ns);
  }
  CHECK(world.unanswered == 1);
  CHECK(world.routes->unanswered() == 1);
  CHECK(world.until([&] { return !known(); }));
}

TEST_CASE("routes: an interface that is made anew is found again", "[dataplane][routes]") {
  fresh_network();
  World world;
  run("link del t-core");
  CHECK(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kUnreachable; }));
  run("link add t-core type veth peer name t-core-far");
  run("link set t-core-far up");
  run("link set t-core up");
  run("addr add 10.0.0.1/24 dev t-core");
  CHECK(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kGlean; }));
}

namespace {

// IPv6 addresses beside the IPv4 ones; nodad: usable at once.
void add_ipv6() {
  run("addr add 2001:db8:a::1/64 dev t-access nodad");
  run("addr add 2001:db8:c::1/64 dev t-core nodad");
}

struct FarNamespace {
  std::string name = "pns-routes-" + std::to_string(::getpid());
  FarNamespace() { run("netns add " + name); }
  ~FarNamespace() { (void)!std::system(("ip netns del " + name).c_str()); }
  FarNamespace(const FarNamespace&) = delete;
  FarNamespace& operator=(const FarNamespace&) = delete;
};

}  // namespace

TEST_CASE("routes: ipv6: a connected network is on link, our own address is local",
          "[dataplane][routes][ipv6]") {
  fresh_network();
  add_ipv6();
  World world;
  const auto host = world.to("2001:db8:c::9");
  CHECK(host.kind == NextHopKind::kGlean);
  CHECK(host.port == PortRole::kCore);
  CHECK(host.source == kCoreMac);
  CHECK(host.gateway.is_unspecified());
  CHECK(world.to("2001:db8:c::1").kind == NextHopKind::kLocal);
  for (const char* theirs : {"2001:db8:a::9", "2001:db8:a::1"})
    CHECK(world.to(theirs).kind == NextHopKind::kUnreachable);
  CHECK(world.to("2001:db8:d::1").kind == NextHopKind::kUnreachable);
  CHECK(world.to("10.0.0.1").kind == NextHopKind::kLocal);
  // Link-local addresses, of the links and our own, are no destinations.
  CHECK(world.to("fe80::1").kind == NextHopKind::kUnreachable);
  CHECK(world.to("ff02::1").kind == NextHopKind::kUnreachable);
  CHECK(world.routes->ipv6_addresses(PortRole::kCore) == std::vector{ip("2001:db8:c::1")});
  CHECK(world.routes->addresses(PortRole::kCore) == std::vector{unmapped(ip("10.0.0.1"))});

  run("addr add 2001:db8:c::2/64 dev t-core nodad");
  CHECK(world.until([&] { return world.to("2001:db8:c::2").kind == NextHopKind::kLocal; }));
  run("addr del 2001:db8:c::2/64 dev t-core");
  CHECK(world.until([&] { return world.to("2001:db8:c::2").kind == NextHopKind::kGlean; }));
}

TEST_CASE("routes: ipv6: neighbours, resolved where the kernel reaches them directly",
          "[dataplane][routes][ipv6]") {
  fresh_network();
  add_ipv6();
  World world({}, true);
  run("neigh add 2001:db8:c::9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("2001:db8:c::9").kind == NextHopKind::kResolved; }));
  CHECK(world.to("2001:db8:c::9").destination == MacAddress{2, 0x11, 0x22, 0x33, 0x44, 0x55});
  CHECK(world.to("2001:db8:c::a").kind == NextHopKind::kGlean);
  // Somebody on the access side who calls himself a core server.
  run("neigh add 2001:db8:c::53 lladdr 02:66:66:66:66:66 dev t-access nud stale");
  run("neigh add 2001:db8:a::77 lladdr 02:77:77:77:77:77 dev t-access nud stale");
  REQUIRE(world.until([&] { return world.to("2001:db8:a::77").kind == NextHopKind::kResolved; }));
  CHECK(world.to("2001:db8:c::53").port == PortRole::kCore);
  CHECK(world.to("2001:db8:c::53").kind == NextHopKind::kGlean);
  run("neigh del 2001:db8:c::9 dev t-core");
  CHECK(world.until([&] { return world.to("2001:db8:c::9").kind == NextHopKind::kGlean; }));
  // One that does not answer is none.
  run("neigh add 2001:db8:c::b lladdr 02:11:22:33:44:66 dev t-core nud failed");
  run("neigh add 2001:db8:c::c lladdr 02:11:22:33:44:77 dev t-core nud permanent");
  REQUIRE(world.until([&] { return world.to("2001:db8:c::c").kind == NextHopKind::kResolved; }));
  CHECK(world.to("2001:db8:c::b").kind == NextHopKind::kGlean);
}

TEST_CASE("routes: ipv6: gateways, also link-local ones, and the better metric",
          "[dataplane][routes][ipv6]") {
  fresh_network();
  add_ipv6();
  World world({}, true);
  run("-6 route add default via fe80::1 dev t-core");
  REQUIRE(world.until([&] { return world.to("2001:4860::8888").gateway == ip("fe80::1"); }));
  CHECK(world.to("2001:4860::8888").kind == NextHopKind::kGlean);
  CHECK(world.to("2001:4860::8888").port == PortRole::kCore);
  CHECK(world.to("8.8.8.8").kind == NextHopKind::kUnreachable);
  run("-6 neigh replace fe80::1 lladdr 02:aa:aa:aa:aa:aa dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("2001:4860::8888").kind == NextHopKind::kResolved; }));
  CHECK(world.to("2001:4860::8888").destination == MacAddress{2, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa});
  CHECK(world.to("2001:db8:a::9").port == PortRole::kAccess);
  // The same address on the other link is another neighbour.
  run("-6 route add 2001:db8:f::/48 via fe80::1 dev t-access");
  REQUIRE(world.until([&] { return world.to("2001:db8:f::1").port == PortRole::kAccess; }));
  CHECK(world.to("2001:db8:f::1").kind == NextHopKind::kGlean);

  run("-6 route add 2001:db8:e::/48 via 2001:db8:c::2 metric 200");
  run("-6 route add 2001:db8:e::/48 via 2001:db8:c::3 metric 100");
  run("-6 route add blackhole 2001:db8:e:9::/64");
  REQUIRE(world.until([&] { return world.to("2001:db8:e::1").gateway == ip("2001:db8:c::3"); }));
  CHECK(world.until([&] { return world.to("2001:db8:e:9::1").kind == NextHopKind::kUnreachable; }));
  run("-6 route del 2001:db8:e::/48 via 2001:db8:c::3 metric 100");
  CHECK(world.until([&] { return world.to("2001:db8:e::1").gateway == ip("2001:db8:c::2"); }));
  run("-6 route del default");
  CHECK(world.until([&] { return world.to("2001:4860::8888").kind == NextHopKind::kUnreachable; }));
}

TEST_CASE("routes: ipv6: a full table loses what came last, and takes it when there is room",
          "[dataplane][routes][ipv6]") {
  fresh_network();
  add_ipv6();
  World world;  // room for 1,024 groups of 256; a /64 takes up to five
  const auto batch = [](const char* verb) {
    std::string lines;
    for (unsigned n = 0; n < 600; ++n) {
      char text[96];
      std::snprintf(text, sizeof(text), "route %s 2%03x:%x:%x:%x::/64 via fe80::1 dev t-core\n",
                    verb, n, n, n, n);
      lines += text;
    }
    FILE* pipe = ::popen("ip -6 -batch -", "w");
    REQUIRE(pipe != nullptr);
    std::fputs(lines.c_str(), pipe);
    REQUIRE(::pclose(pipe) == 0);
  };
  batch("add");
  REQUIRE(world.until([&] { return world.to("2000:0:0:0::1").kind == NextHopKind::kGlean; }));
  const auto served = [&] {
    unsigned count = 0;
    for (unsigned n = 0; n < 600; ++n)
      count += world.inner->lookup(Ipv6Address((0x2000 + std::uint64_t{n}) << 48 |
                                                   std::uint64_t{n} << 32 | n << 16 | n,
                                               1))
                           .value != 0
                   ? 1
                   : 0;
    return count;
  };
  REQUIRE(world.until([&] { return world.routes->routes() >= served() && served() > 150; }));
  CHECK(served() < 600);
  batch("del");
  run("-6 route add 2fff:1:2:3::/64 via fe80::1 dev t-core");
  CHECK(world.until([&] { return world.to("2fff:1:2:3::1").kind == NextHopKind::kGlean; }));
  CHECK(world.to("2000:0:0:0::1").kind == NextHopKind::kUnreachable);
  CHECK(world.to("2001:db8:c::9").kind == NextHopKind::kGlean);
}

TEST_CASE("routes: ipv6: packets wait for their neighbour, which the kernel is asked to find",
          "[dataplane][routes][ipv6]") {
  fresh_network();
  add_ipv6();
  World world;
  for (int i = 0; i < 68; ++i)
    world.routes->hold(PortRole::kCore, ip("2001:db8:c::9"), world.packet(), world.now_ns);
  CHECK(world.routes->unresolved_drops() == 4);
  // Asked for: the kernel solicits it, and knows it as one to keep.
  bool asked = false;
  for (int i = 0; i < 100 && !asked; ++i) {
    asked = std::system("ip -6 neigh show dev t-core | grep -q '^2001:db8:c::9 '") == 0;
    if (!asked) ::usleep(20'000);
  }
  CHECK(asked);
  run("neigh replace 2001:db8:c::9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.released.size() == 64; }));
  const auto* ethernet = rte_pktmbuf_mtod(world.released.front().second, const rte_ether_hdr*);
  CHECK(ethernet->dst_addr.addr_bytes[5] == 0x55);
  CHECK(world.released.front().first == PortRole::kCore);
}

TEST_CASE("routes: ipv6: a real neighbour is found by the kernel", "[dataplane][routes][ipv6]") {
  fresh_network();
  add_ipv6();
  // The far end in a namespace of its own: else the kernel would talk to itself.
  const FarNamespace far;
  run("link set t-core-far netns " + far.name);
  run("-n " + far.name + " link set t-core-far up");
  run("-n " + far.name + " addr add 2001:db8:c::9/64 dev t-core-far nodad");
  World world;
  world.routes->hold(PortRole::kCore, ip("2001:db8:c::9"), world.packet(), world.now_ns);
  CHECK(world.until([&] { return world.released.size() == 1; }));
  CHECK(world.to("2001:db8:c::9").kind == NextHopKind::kResolved);
}

TEST_CASE("routes: a network behind a subscriber leads to his session meanwhile",
          "[dataplane][routes][networks]") {
  fresh_network();
  run("route add 192.168.0.0/16 via 10.0.0.3 dev t-core");
  run("-6 addr add 2001:db8:c::1/64 dev t-core nodad");
  run("-6 route add 2001:db8:50::/48 via 2001:db8:c::2");
  World world;
  const Ipv6Prefix lan = mapped(Ipv4Prefix::parse("192.168.50.0/24").value());
  const Ipv6Prefix lan6 = Ipv6Prefix::parse("2001:db8:50::/48").value();
  REQUIRE(world.routes->add_network(lan, SlotId(7)));
  REQUIRE(world.routes->add_network(lan6, SlotId(7)));
  for (const char* inside : {"192.168.50.1", "192.168.50.255", "2001:db8:50:9::1"}) {
    CHECK(world.to(inside).kind == NextHopKind::kSession);
    CHECK(world.to(inside).slot == SlotId(7));
    CHECK(world.to(inside).asks_sessions());
  }
  CHECK(world.to("192.168.51.1").gateway == ip("10.0.0.3"));
  CHECK(world.out("192.168.50.1").kind == NextHopKind::kUnreachable);

  // The kernel's own route for redistribution does not stand in its way, nor do computations of all
  // routes, neighbours and longer routes.
  run("route add 192.168.50.0/24 dev t-core proto 173 metric 30000 table 1724");
  run("route add 192.168.60.0/24 dev t-core proto 173 metric 30000");
  run("neigh replace 192.168.50.9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  run("route add 192.168.50.128/25 via 10.0.0.4 dev t-core");
  REQUIRE(world.until([&] { return world.to("192.168.50.200").gateway == ip("10.0.0.4"); }));
  CHECK(world.to("192.168.50.9").slot == SlotId(7));
  CHECK(world.to("192.168.60.1").gateway == ip("10.0.0.3"));

  world.routes->remove_network(lan);
  world.routes->remove_network(lan6);
  CHECK(world.to("192.168.50.1").gateway == ip("10.0.0.3"));
  CHECK(world.to("192.168.50.200").gateway == ip("10.0.0.4"));
  CHECK(world.to("2001:db8:50:9::1").gateway == ip("2001:db8:c::2"));
}

TEST_CASE("routes: the next hop of a session is nobody else's before it is forgotten",
          "[dataplane][routes][networks]") {
  fresh_network();
  World world;
  const auto lan = [](unsigned n) {
    return mapped(Ipv4Prefix{Ipv4Address(0xc0a80000 + (n << 8)), 24});
  };
  const auto id_of = [&](const char* address) {
    return world.inner->lookup(unmapped(ip(address))).value;
  };
  REQUIRE(world.routes->add_network(lan(1), SlotId(1)));
  const auto first = id_of("192.168.1.1");
  world.routes->remove_network(lan(1));
  REQUIRE(world.routes->add_network(lan(2), SlotId(2)));
  CHECK(id_of("192.168.2.1") != first);
  // A worker that has read the old route may still look at it.
  CHECK(world.inner->get(NextHopId(first)).slot == SlotId(1));
  run("route add 198.18.0.0/15 via 10.0.0.3 dev t-core");
  REQUIRE(world.until([&] { return world.to("198.18.0.1").gateway == ip("10.0.0.3"); }));
  CHECK(world.inner->get(NextHopId(first)).slot == SlotId(1));
  world.routes->forget_session(SlotId(1));
  CHECK(world.inner->get(NextHopId(first)).kind == NextHopKind::kUnreachable);
  REQUIRE(world.routes->add_network(lan(3), SlotId(3)));
  CHECK(id_of("192.168.3.1") == first);
}

TEST_CASE("routes: the id of a next hop that has gone waits until no worker can hold it",
          "[dataplane][routes][networks]") {
  fresh_network();
  // Where one worker is: a token is passed when it has begun anew since.
  std::uint64_t begun = 0;
  std::uint64_t passed = 0;
  World world({}, false, false, "t-core",
              {.begin = [&] { return ++begun; },
               .passed = [&](std::uint64_t token) { return token <= passed; }});
  run("neigh replace 10.0.0.9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kResolved; }));
  // The worker has looked this packet up, and will look at the next hop.
  const NextHopId held = world.inner->lookup(unmapped(ip("10.0.0.9")));
  run("neigh del 10.0.0.9 dev t-core");
  REQUIRE(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kGlean; }));
  // Neither another host nor a subscriber may get it.
  REQUIRE(
      world.routes->add_network(mapped(Ipv4Prefix::parse("192.168.50.0/24").value()), SlotId(7)));
  run("neigh replace 10.0.0.8 lladdr 02:11:22:33:44:66 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("10.0.0.8").kind == NextHopKind::kResolved; }));
  CHECK(world.inner->get(held).kind == NextHopKind::kUnreachable);
  // It begins its next burst: now the id is used again.
  passed = begun;
  REQUIRE(
      world.routes->add_network(mapped(Ipv4Prefix::parse("192.168.60.0/24").value()), SlotId(8)));
  CHECK(world.inner->lookup(unmapped(ip("192.168.60.1"))) == held);
}

TEST_CASE("routes: next hops that found no id are led to once there are ids again",
          "[dataplane][routes][networks]") {
  const auto outer = NextHops::create("ids-outer", {1024, 0}).value();
  std::uint64_t begun = 0;
  std::uint64_t passed = 0;
  const RouteTable::Links links;
  RouteTable table("test", *outer, links, {},
                   {.begin = [&] { return ++begun; },
                    .passed = [&](std::uint64_t token) { return token <= passed; }});
  const Ipv6Prefix network = mapped(Ipv4Prefix::parse("172.16.0.0/16").value());
  const auto lookup = [&] { return outer->lookup(Ipv4Address::parse("172.16.1.1").value()); };
  const auto way = [](unsigned gateway) {
    return RouteTable::Way{
        {NextHopKind::kGlean, PortRole::kAccess, mapped(Ipv4Address(0x0a00'0000 + gateway))}};
  };
  // Each change of the gateway takes an id and gives one back, which the worker may hold.
  unsigned gateway = 1;
  for (; gateway < 2U * NextHops::kMaxNextHops; ++gateway) {
    table.replace({{network, way(gateway)}});
    if (lookup().value == 0) break;
  }
  REQUIRE(gateway == NextHops::kMaxNextHops);
  CHECK_FALSE(table.can_mend());
  passed = begun;
  REQUIRE(table.can_mend());
  table.replace({{network, way(gateway)}});
  CHECK(outer->get(lookup()).gateway == way(gateway).hop.address);
  CHECK_FALSE(table.can_mend());
}

TEST_CASE("routes: a gateway that the kernel knows by itself is kept fresh",
          "[dataplane][routes]") {
  fresh_network();
  run("neigh replace 10.0.0.2 lladdr 02:11:22:33:44:55 dev t-core nud stale");
  run("neigh replace 10.0.0.3 lladdr 02:11:22:33:44:66 dev t-core nud permanent");
  run("neigh replace 10.0.0.4 lladdr 02:11:22:33:44:77 dev t-core nud stale");
  run("route add 172.16.0.0/16 via 10.0.0.2 dev t-core");
  run("route add 172.17.0.0/16 via 10.0.0.3 dev t-core");
  World world;
  CHECK(world.to("172.16.1.1").kind == NextHopKind::kResolved);
  CHECK(world.to("172.17.1.1").kind == NextHopKind::kResolved);
  const auto kernel_has = [](const std::string& words) {
    return std::system(("ip neigh show dev t-core | grep -q '" + words + "'").c_str()) == 0;
  };
  CHECK(world.until([&] { return kernel_has("10.0.0.2 .*managed"); }));
  // An operator's own entry stays, and a host that is no gateway is the kernel's business.
  CHECK(kernel_has("10.0.0.3 .*PERMANENT"));
  CHECK_FALSE(kernel_has("10.0.0.4 .*managed"));
  // One that the kernel has learnt anew is asked for again.
  run("neigh del 10.0.0.2 dev t-core");
  run("neigh replace 10.0.0.2 lladdr 02:11:22:33:44:55 dev t-core nud stale");
  CHECK(world.until([&] { return kernel_has("10.0.0.2 .*managed"); }));
}

TEST_CASE("routes: ipv6: a route that goes costs no reading of all routes",
          "[dataplane][routes][ipv6]") {
  fresh_network();
  run("-6 addr add 2001:db8:c::1/64 dev t-core nodad");
  run("-6 route add 2001:db8:e::/48 via 2001:db8:c::2 dev t-core");
  World world;
  REQUIRE(world.to("2001:db8:e::1").gateway == ip("2001:db8:c::2"));
  run("-6 route del 2001:db8:e::/48");
  REQUIRE(world.until([&] { return world.to("2001:db8:e::1").kind == NextHopKind::kUnreachable; }));
  CHECK(world.routes->refills() == 0);
  // Those of sessions, for routing daemons and services of the host, are nothing to us.
  for (const char* what : {"dev t-core proto 173 table 1724", "dev t-access table 1725"})
    for (const char* verb : {"add", "del"})
      run(std::string("-6 route ") + verb + " 2001:db8:50::/48 " + what);
  run("neigh replace 10.0.0.9 lladdr 02:11:22:33:44:55 dev t-core nud reachable");
  REQUIRE(world.until([&] { return world.to("10.0.0.9").kind == NextHopKind::kResolved; }));
  CHECK(world.routes->refills() == 0);
  // One of several next hops: the cache of libnl would keep it.
  run("-6 route add 2001:db8:e::/48 nexthop via 2001:db8:c::2 dev t-core "
      "nexthop via 2001:db8:c::3 dev t-core");
  REQUIRE(world.until([&] { return world.shares("2001:db8:e::1").size() == 2; }));
  run("-6 route del 2001:db8:e::/48 via 2001:db8:c::3 dev t-core");
  REQUIRE(world.until([&] { return world.to("2001:db8:e::1").gateway == ip("2001:db8:c::2"); }));
}

TEST_CASE("routes: a network that finds no room says so", "[dataplane][routes][networks]") {
  fresh_network();
  World world;
  bool full = false;
  unsigned added = 0;
  for (; added < 2048 && !full; ++added)
    full = !world.routes->add_network(
        mapped(Ipv4Prefix{Ipv4Address(0x0b000000 + (added << 8)), 24}), SlotId(added));
  CHECK(full);
  CHECK(added > 900);
  // Nothing of it is left.
  CHECK(world.inner->lookup(Ipv4Address(0x0b000000 + ((added - 1) << 8))).value == 0);
  CHECK(world.inner->lookup(Ipv4Address(0x0b000000)).value != 0);
}
