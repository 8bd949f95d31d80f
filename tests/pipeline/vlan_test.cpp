// SPDX-License-Identifier: BSD-3-Clause
//
// Ports with VLAN tags, and two ports on one device.
#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::dataplane;

namespace {

using Counts = std::map<std::string, std::uint64_t>;

// A frame with one tag.
Octets tagged(Octets frame, unsigned id) {
  const Octets tag = octets(id == 10 ? "8100000a" : id == 20 ? "81000014" : "8100001e");
  frame.insert(frame.begin() + 12, tag.begin(), tag.end());
  return frame;
}

Octets up(const Subscriber& s, unsigned sequence) {
  return from_peer(s, sequence,
                   ppp("0021", ip({.source = s.address, .destination = kServer}, pattern(20))));
}
Octets down(const Subscriber& s) {
  return from_core(ip({.source = kServer, .destination = s.address, .ttl = 64}, pattern(20)));
}
// A frame of the core for the one device.
Octets to_device(Octets frame) {
  const Octets mac = octets(kAccessMac);
  std::ranges::copy(mac, frame.begin());
  return frame;
}

}  // namespace

TEST_CASE("vlan: each port takes its own tags and sends with them", "[pipeline][vlan]") {
  World world({.vlans = {{{10}, {20}}}});
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kAccess, tagged(up(s, 0), 10));
  world.receive(kCore, tagged(down(s), 20));
  world.run();
  const auto core = world.sent(kCore);
  REQUIRE(core.size() == 1);
  CHECK(hex(Octets(core[0].begin() + 12, core[0].begin() + 18)) == "810000140800");
  const auto access = world.sent(kAccess);
  REQUIRE(access.size() == 1);
  CHECK(hex(Octets(access[0].begin() + 12, access[0].begin() + 18)) == "8100000a0800");
  CHECK(world.drops().empty());
  // Another's tags, and none.
  world.receive(kAccess, tagged(up(s, 1), 20));
  world.receive(kAccess, up(s, 2));
  world.receive(kCore, tagged(down(s), 10));
  world.run();
  CHECK(world.drops() == Counts{{"vlan_unknown", 3}});
}

TEST_CASE("vlan: one device, whose frames are told apart by their tags", "[pipeline][vlan]") {
  World world({.vlans = {{{10}, {}}}, .one_device = true});
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kAccess, tagged(up(s, 0), 10));
  world.receive(kAccess, to_device(down(s)));
  world.receive(kAccess, tagged(up(s, 1), 30));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(world.sent(kAccess).size() == 1);
  CHECK(world.drops() == Counts{{"vlan_unknown", 1}});
}

TEST_CASE("vlan: one link, whose frames are told apart by what they are", "[pipeline][vlan]") {
  World world({.one_device = true});
  const Subscriber s = world.add(2);
  (void)world.counted();
  world.receive(kAccess, up(s, 0));
  world.receive(kAccess, to_device(down(s)));
  world.run();
  CHECK(world.sent(kCore).size() == 1);
  CHECK(world.sent(kAccess).size() == 1);
  // ARP and packets for the host are the one twin's, and go there once.
  world.receive(kAccess, ethernet("ffffffffffff", kAccessRouterMac, 0x0806, pattern(46)));
  world.receive(
      kAccess,
      ethernet(kAccessMac, kAccessRouterMac, 0x0800,
               ip({.source = "203.0.113.9", .destination = kLocal, .protocol = 6}, pattern(20))));
  world.run();
  CHECK(world.punted(kAccess).size() == 1);
  CHECK(world.punted(kCore).size() == 1);  // ARP, which may ask for a subscriber
  CHECK(world.drops().empty());
  // An address of a pool that no session has ends here.
  world.receive(
      kAccess,
      to_device(from_core(ip({.source = kServer, .destination = "10.65.0.9"}, pattern(4)))));
  world.run();
  CHECK(world.drops() == Counts{{"pool_address_unused", 1}});
}
