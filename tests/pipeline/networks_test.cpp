// SPDX-License-Identifier: BSD-3-Clause
//
// Networks behind subscribers: what comes from them is the subscriber's, what goes to them goes
// down his session, whoever sends it and whatever worker it reaches.
#include <catch2/catch.hpp>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::dataplane;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

constexpr std::string_view kLan = "192.168.50.0/24";
constexpr std::string_view kLanHost = "192.168.50.9";
constexpr std::string_view kLan6 = "2001:db8:50::/48";
constexpr std::string_view kLanHost6 = "2001:db8:50:1::9";

// A network behind a subscriber for as long as the test runs: all Worlds have the same tables.
class Behind {
 public:
  Behind(World& world, const Subscriber& s, std::string_view network)
      : table_(world.routing().inner),
        ipv4_(Ipv4Prefix::parse(network)),
        ipv6_(Ipv6Prefix::parse(network)) {
    static std::uint16_t number = 300;
    NextHop hop;
    hop.kind = NextHopKind::kSession;
    hop.port = kCore;
    hop.slot = s.slot();
    const NextHopId id(number++);
    REQUIRE(table_.set(id, hop));
    REQUIRE(table_.get(id) == hop);
    REQUIRE((ipv4_ ? table_.add_route(*ipv4_, id) : table_.add_route(*ipv6_, id)));
    contract::SetNetworks command;
    command.count = 1;
    WorkerCommand::Body body;
    body.set_networks = command;
    world.command(s, WorkerCommandType::kSetNetworks, body);
    world.run();
  }
  ~Behind() { CHECK((ipv4_ ? table_.delete_route(*ipv4_) : table_.delete_route(*ipv6_))); }
  Behind(const Behind&) = delete;
  Behind& operator=(const Behind&) = delete;

 private:
  NextHops& table_;
  std::optional<Ipv4Prefix> ipv4_;
  std::optional<Ipv6Prefix> ipv6_;
};

Octets packet(std::string_view from, std::string_view to, unsigned ttl = 64) {
  return ip({.source = from, .destination = to, .ttl = ttl}, pattern(20));
}
Octets packet6(std::string_view from, std::string_view to, unsigned hops = 64) {
  return ip6({.source = from, .destination = to, .hop_limit = hops}, pattern(20));
}

}  // namespace

TEST_CASE("networks: a packet from behind a subscriber is forwarded, and one from elsewhere is not",
          "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);
  const Subscriber other = world.add(3);
  const Behind lan(world, site, kLan);
  (void)world.counted();
  const auto send = [&](const Subscriber& s, std::string_view source, std::uint32_t sequence) {
    world.receive(kAccess, from_peer(s, sequence, ppp("0021", packet(source, kServer))));
    world.run();
    return world.sent(kCore);
  };
  const auto out = send(site, kLanHost, 0);
  REQUIRE(out.size() == 1);
  CHECK(hex(out[0]) == hex(to_core(packet(kLanHost, kServer, 63))));
  CHECK(send(site, site.address, 1).size() == 1);
  CHECK(world.drops().empty());
  // Beside the network, and the same address from a session that has nothing behind it.
  CHECK(send(site, "192.168.51.9", 2).empty());
  CHECK(send(site, other.address, 3).empty());
  CHECK(send(other, kLanHost, 0).empty());
  CHECK(world.drops() == Counts{{"inner_source", 3}});
  CHECK(world.record(site).upstream.drops.get() == 2);
}

TEST_CASE("networks: an address in the network that lives elsewhere is not the subscriber's",
          "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);
  const Subscriber branch = world.add(3);
  const Behind lan(world, site, kLan);
  const Behind part(world, branch, "192.168.50.128/25");
  (void)world.counted();
  const auto send = [&](const Subscriber& s, std::string_view source, std::uint32_t sequence) {
    world.receive(kAccess, from_peer(s, sequence, ppp("0021", packet(source, kServer))));
    world.run();
    return world.sent(kCore).size();
  };
  CHECK(send(site, "192.168.50.200", 0) == 0);
  CHECK(send(branch, "192.168.50.200", 0) == 1);
  CHECK(send(branch, "192.168.50.9", 1) == 0);
  CHECK(world.drops() == Counts{{"inner_source", 2}});
}

TEST_CASE("networks: a packet from the core goes down the session, from any worker",
          "[pipeline][networks][handover]") {
  const auto workers = GENERATE(std::uint16_t{1}, std::uint16_t{2});
  World world({.workers = workers});
  const Subscriber even = world.add(2);
  const Subscriber odd = world.add(3);
  const Behind lan(world, even, kLan);
  const Behind lan2(world, odd, "192.168.60.0/24");
  (void)world.counted();
  for (unsigned queue = 0; queue < workers; ++queue) {
    world.receive(kCore, from_core(packet(kServer, kLanHost)), queue);
    world.receive(kCore, from_core(packet(kServer, "192.168.60.1")), queue);
  }
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 2U * workers);
  std::map<unsigned, unsigned> to;
  for (const Octets& frame : out) ++to[get16(frame, 40)];
  CHECK(to ==
        std::map<unsigned, unsigned>{{even.peer_call(), workers}, {odd.peer_call(), workers}});
  CHECK(hex(out[0]).ends_with(hex(ppp("0021", packet(kServer, kLanHost, 63)))));
  const auto counted = world.counted();
  CHECK(counted.at("downstream_packets") == 2U * workers);
  if (workers == 2) CHECK(counted.at("handed_out") == 2);
  // An address beside the network is the kernel's, as before.
  world.receive(kCore, from_core(packet(kServer, "192.168.51.1")));
  world.run();
  CHECK(world.punted(kCore).size() == 1);
}

TEST_CASE("networks: subscribers and networks reach each other", "[pipeline][networks][handover]") {
  World world({.workers = 2});
  const Subscriber site = world.add(2);
  const Subscriber branch = world.add(3);
  const Behind lan(world, site, kLan);
  const Behind lan2(world, branch, "192.168.60.0/24");
  (void)world.counted();
  const auto send = [&](const Subscriber& s, std::string_view from, std::string_view to,
                        std::uint32_t sequence) {
    world.receive(kAccess, from_peer(s, sequence, ppp("0021", packet(from, to))));
    world.run();
    const auto out = world.sent(kAccess);
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0]).ends_with(hex(ppp("0021", packet(from, to, 63)))));
    return get16(out[0], 40);
  };
  CHECK(send(site, kLanHost, "192.168.60.1", 0) == branch.peer_call());
  CHECK(send(branch, "192.168.60.1", kLanHost, 0) == site.peer_call());
  CHECK(send(branch, branch.address, kLanHost, 1) == site.peer_call());
  CHECK(send(branch, "192.168.60.1", site.address, 2) == site.peer_call());
  CHECK(world.drops().empty());
}

TEST_CASE("networks: a packet for the sender's own network does not go back to him",
          "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);
  const Behind lan(world, site, kLan);
  const Behind lan6(world, site, kLan6);
  world.open_ipv6(site);
  (void)world.counted();
  world.receive(kAccess, from_peer(site, 0, ppp("0021", packet(site.address, kLanHost))));
  world.receive(kAccess, from_peer(site, 1, ppp("0057", packet6(site.address6, kLanHost6))));
  world.run();
  CHECK(world.drops() == Counts{{"inner_destination", 2}});
  // He hears of it: ICMP host unreachable, ICMPv6 address unreachable.
  const auto reports = world.sent(kAccess);
  REQUIRE(reports.size() == 2);
  CHECK(get16(reports[0], 40) == site.peer_call());
}

TEST_CASE("networks: errors about packets from behind a subscriber find their sender",
          "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);
  const Behind lan(world, site, kLan);
  (void)world.counted();
  world.receive(kAccess, from_peer(site, 0, ppp("0021", packet(kLanHost, kServer, 1))));
  world.run();
  const auto reports = world.sent(kAccess);
  REQUIRE(reports.size() == 1);
  CHECK(get16(reports[0], 40) == site.peer_call());
  CHECK(world.drops() == Counts{{"ttl_expired", 1}});
}

TEST_CASE("networks: ipv6: both ways, and a source check", "[pipeline][networks][ipv6]") {
  const auto workers = GENERATE(std::uint16_t{1}, std::uint16_t{2});
  World world({.workers = workers});
  const Subscriber site = world.add(3);
  world.open_ipv6(site);
  const Behind lan(world, site, kLan6);
  (void)world.counted();
  world.receive(kAccess, from_peer(site, 0, ppp("0057", packet6(kLanHost6, kServer6))));
  world.run();
  const auto up = world.sent(kCore);
  REQUIRE(up.size() == 1);
  CHECK(hex(up[0]) == hex(to_core6(packet6(kLanHost6, kServer6, 63))));
  world.receive(kCore, from_core6(packet6(kServer6, kLanHost6)));
  world.run();
  const auto down = world.sent(kAccess);
  REQUIRE(down.size() == 1);
  CHECK(hex(down[0]).ends_with(hex(ppp("0057", packet6(kServer6, kLanHost6, 63)))));
  CHECK(world.drops().empty());
  world.receive(kAccess, from_peer(site, 1, ppp("0057", packet6("2001:db8:51::9", kServer6))));
  // A source that no router may forward does not enter the tunnel either.
  world.receive(kCore, from_core6(packet6("fe80::1", kLanHost6)));
  world.run();
  CHECK(world.drops() == Counts{{"inner_scope", 1}, {"inner_source", 1}});
}

TEST_CASE("networks: a family that is closed takes nothing", "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);  // IPv4 alone
  const Behind lan(world, site, kLan6);
  (void)world.counted();
  world.receive(kCore, from_core6(packet6(kServer6, kLanHost6)));
  world.run();
  CHECK(world.drops() == Counts{{"network_not_open", 1}});
}

TEST_CASE("networks: the kernel's frames for a network enter its tunnel", "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);
  const Behind lan(world, site, kLan);
  (void)world.counted();
  world.from_twin(kCore, ethernet("ffffffffffff", kCoreMac, 0x0800, packet(kServer, kLanHost)));
  world.run();
  const auto out = world.sent(kAccess);
  REQUIRE(out.size() == 1);
  CHECK(get16(out[0], 40) == site.peer_call());
}

TEST_CASE("networks: nothing reaches a session that has left, or its successor in the slot",
          "[pipeline][networks]") {
  World world;
  const Subscriber site = world.add(2);
  const Behind lan(world, site, kLan);
  (void)world.counted();
  const std::uint64_t token = world.table().unlink(site.slot());
  world.receive(kCore, from_core(packet(kServer, kLanHost)));
  world.run();
  CHECK(world.sent(kAccess).empty());
  CHECK(world.punted(kCore).size() == 1);  // an address like any other
  REQUIRE(world.table().quiescent(token));
  world.table().release(site.slot());
}
