// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/session_networks.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>

using namespace pns;
using namespace pns::dataplane;
using contract::ReplyResult;

namespace {

Ipv6Prefix net(const char* text) { return Ipv6Prefix::parse(text).value(); }

struct World {
  std::map<std::string, std::uint32_t> led;
  std::vector<std::uint32_t> forgotten;
  std::size_t room = 100;
  SessionNetworks networks{
      {.added =
           [this](const Ipv6Prefix& network, SlotId slot) {
             if (led.size() == room) return false;
             return led.emplace(network.to_string(), slot.value).second;
           },
       .removed = [this](const Ipv6Prefix& network) { CHECK(led.erase(network.to_string()) == 1); },
       .forgotten = [this](SlotId slot) { forgotten.push_back(slot.value); }}};
};

}  // namespace

TEST_CASE("session networks: only what differs changes", "[dataplane][session][networks]") {
  World world;
  CHECK(world.networks.set(SlotId(3), {net("2001:db8:1::/48"), net("2001:db8:2::/48")}) ==
        ReplyResult::kDone);
  // Had one of these been taken away and added again, packets would have missed it.
  CHECK(world.networks.set(SlotId(3), {net("2001:db8:2::/48"), net("2001:db8:3::/48")}) ==
        ReplyResult::kDone);
  CHECK(world.led ==
        std::map<std::string, std::uint32_t>{{"2001:db8:2::/48", 3}, {"2001:db8:3::/48", 3}});
  CHECK(world.networks.size() == 2);
}

TEST_CASE("session networks: a list that finds no room leaves nothing",
          "[dataplane][session][networks]") {
  World world;
  world.room = 2;
  CHECK(world.networks.set(SlotId(3), {net("2001:db8:1::/48"), net("2001:db8:2::/48"),
                                       net("2001:db8:3::/48")}) == ReplyResult::kNoMemory);
  CHECK(world.led.empty());
  CHECK(world.networks.size() == 0);
  CHECK(world.networks.set(SlotId(4), {net("2001:db8:1::/48")}) == ReplyResult::kDone);
}

TEST_CASE("session networks: a slot is forgotten once its session is released",
          "[dataplane][session][networks]") {
  World world;
  CHECK(world.networks.set(SlotId(3), {net("2001:db8:1::/48")}) == ReplyResult::kDone);
  CHECK(world.networks.set(SlotId(3), {}) == ReplyResult::kDone);
  CHECK(world.forgotten.empty());
  world.networks.unlink(SlotId(3));
  CHECK(world.forgotten.empty());
  world.networks.release(SlotId(3));
  world.networks.release(SlotId(3));
  CHECK(world.forgotten == std::vector<std::uint32_t>{3});
  // A session that never had any is nothing to remember.
  CHECK(world.networks.set(SlotId(5), {}) == ReplyResult::kDone);
  world.networks.release(SlotId(5));
  CHECK(world.forgotten.size() == 1);
}
