// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/routing/resolve_queue.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <vector>

#include "dataplane/routing/mapped_address.hpp"

using namespace pns;
using namespace pns::dataplane;
using contract::PortRole;
using Neighbour = ResolveQueue::Neighbour;

namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;

rte_mempool* pool() {
  static rte_mempool* made =
      rte_pktmbuf_pool_create("resolve-test", 4095, 0, 0, 128, SOCKET_ID_ANY);
  return made;
}

Neighbour host(unsigned n) { return {PortRole::kCore, mapped(Ipv4Address(0x0a630000 + n))}; }
Neighbour gateway(unsigned n = 0) { return {PortRole::kCore, mapped(Ipv4Address(0x0a0000fe + n))}; }

struct World {
  std::vector<Neighbour> asked, forgotten;
  std::map<DropReason, unsigned> lost;
  unsigned sent = 0;
  std::uint64_t now_ns = kSecondNs;
  ResolveQueue queue{{.ask = [this](const Neighbour& who) { asked.push_back(who); },
                      .forget = [this](const Neighbour& who) { forgotten.push_back(who); },
                      .lose =
                          [this](const Neighbour&, rte_mbuf* packet, DropReason reason) {
                            rte_pktmbuf_free(packet);
                            ++lost[reason];
                          }}};

  void hold(const Neighbour& who, bool is_gateway = false) {
    rte_mbuf* packet = rte_pktmbuf_alloc(pool());
    REQUIRE(packet != nullptr);
    queue.hold(who, is_gateway, packet, now_ns);
  }
  unsigned release(const Neighbour& who) {
    unsigned count = 0;
    queue.release(who, [&](rte_mbuf* packet) {
      rte_pktmbuf_free(packet);
      ++count;
    });
    return count;
  }
};

}  // namespace

TEST_CASE("resolve queue: packets leave in order when their neighbour is known", "[routes]") {
  World world;
  std::vector<rte_mbuf*> held, sent;
  for (unsigned n = 0; n < 3; ++n) {
    held.push_back(rte_pktmbuf_alloc(pool()));
    world.queue.hold(host(1), false, held.back(), world.now_ns);
  }
  CHECK(world.asked == std::vector{host(1)});
  world.queue.release(host(1), [&](rte_mbuf* packet) { sent.push_back(packet); });
  CHECK(sent == held);
  for (rte_mbuf* packet : sent) rte_pktmbuf_free(packet);
  CHECK(world.queue.empty());
  CHECK(world.lost.empty());
  CHECK(rte_mempool_in_use_count(pool()) == 0);
}

TEST_CASE("resolve queue: hosts that do not exist keep no other out", "[routes]") {
  World world;
  // Somebody scans: 1,000 neighbours a second, none of which answers.
  for (unsigned n = 0; n < 1'000; ++n) {
    world.hold(host(n));
    world.now_ns += kSecondNs / 1'000;
  }
  CHECK(world.queue.neighbours() == ResolveQueue::kMaxNeighbours);
  CHECK(world.lost[DropReason::neighbour_queue_full] == 1'000 - ResolveQueue::kMaxNeighbours);
  CHECK(world.forgotten.size() == 1'000 - ResolveQueue::kMaxNeighbours);
  CHECK(world.forgotten.front() == host(0));
  // One that exists is asked for at once, and 5 ms later it has answered.
  world.asked.clear();
  world.hold(host(40'000));
  CHECK(world.asked == std::vector{host(40'000)});
  for (unsigned n = 0; n < 5; ++n) world.hold(host(50'000 + n));
  CHECK(world.release(host(40'000)) == 1);
}

TEST_CASE("resolve queue: a gateway never waits behind other neighbours", "[routes]") {
  World world;
  // Places, and packets, of the others are used up.
  for (unsigned n = 0; n < 256; ++n)
    for (unsigned packet = 0; packet < 8; ++packet) world.hold(host(n));
  world.asked.clear();
  world.lost.clear();
  for (unsigned n = 0; n < 4; ++n)
    for (unsigned packet = 0; packet < 64; ++packet) world.hold(gateway(n), true);
  CHECK(world.asked == std::vector{gateway(0), gateway(1), gateway(2), gateway(3)});
  CHECK(world.lost.empty());
  // And no scan pushes it out.
  for (unsigned n = 0; n < 1'000; ++n) world.hold(host(1'000 + n));
  for (unsigned n = 0; n < 4; ++n) CHECK(world.release(gateway(n)) == 64);
}

TEST_CASE("resolve queue: a gateway is asked for once, and again each second while it is wanted",
          "[routes]") {
  World world;
  world.queue.want_gateway(gateway(), world.now_ns);
  world.queue.want_gateway(gateway(), world.now_ns);
  CHECK(world.asked.size() == 1);
  for (unsigned tenth = 0; tenth < 100; ++tenth) {
    world.now_ns += kSecondNs / 10;
    world.queue.on_timer(world.now_ns);
  }
  CHECK(world.asked.size() == 6);
  CHECK(world.queue.empty());
  CHECK(world.forgotten.empty());  // its route still names it
}

TEST_CASE("resolve queue: packets of a neighbour that becomes a gateway move to its room",
          "[routes]") {
  World world;
  for (unsigned packet = 0; packet < 10; ++packet) world.hold(gateway());
  world.queue.want_gateway(gateway(), world.now_ns);
  CHECK(world.asked.size() == 1);
  for (unsigned n = 0; n < 600; ++n) world.hold(host(n));
  CHECK(world.release(gateway()) == 10);
  CHECK(world.lost[DropReason::neighbour_queue_full] == 600 - 256);
}

TEST_CASE("resolve queue: what waits is bounded in packets and time, and each loss has a reason",
          "[routes]") {
  World world;
  for (unsigned packet = 0; packet < 70; ++packet) world.hold(host(1));
  CHECK(world.lost[DropReason::neighbour_queue_full] == 6);
  for (unsigned n = 2; n < 20; ++n)
    for (unsigned packet = 0; packet < 64; ++packet) world.hold(host(n));
  CHECK(rte_mempool_in_use_count(pool()) == ResolveQueue::kMaxPackets);
  CHECK(world.lost[DropReason::neighbour_queue_full] == 6 + 19 * 64 - ResolveQueue::kMaxPackets);
  CHECK(world.lost.count(DropReason::neighbour_unanswered) == 0);
  world.now_ns += ResolveQueue::kHoldNs - 1;
  world.queue.on_timer(world.now_ns);
  CHECK(world.lost.count(DropReason::neighbour_unanswered) == 0);
  world.now_ns += 1;
  world.queue.on_timer(world.now_ns);
  CHECK(world.lost[DropReason::neighbour_unanswered] == ResolveQueue::kMaxPackets);
  CHECK(rte_mempool_in_use_count(pool()) == 0);
  for (unsigned n = 0; n < 5; ++n) {
    world.now_ns += kSecondNs;
    world.queue.on_timer(world.now_ns);
  }
  CHECK(world.queue.empty());
  CHECK(world.forgotten.size() == 19);
}
