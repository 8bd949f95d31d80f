// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gre/hold_queues.hpp"

#include <rte_mempool.h>

#include <catch2/catch.hpp>
#include <set>
#include <vector>

using namespace pns;
using namespace pns::dataplane;

namespace {

rte_mempool* pool() {
  static rte_mempool* made =
      rte_pktmbuf_pool_create("hold-queues", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  return made;
}

rte_mbuf* packet() {
  rte_mbuf* made = rte_pktmbuf_alloc(pool());
  REQUIRE(made != nullptr);
  return made;
}

}  // namespace

TEST_CASE("hold queues: numbered packets are found by number, across the wrap", "[gre]") {
  for (const std::uint32_t base : {0U, 63U, 1000U, UINT32_MAX - 3}) {
    CAPTURE(base);
    NumberedPackets packets;
    CHECK(packets.empty());
    CHECK(packets.oldest_ns() == UINT64_MAX);
    rte_mbuf far_one, near_one;  // only their addresses count
    packets.put(&far_one, base + 60, 100);
    packets.put(&near_one, base + 5, 200);
    CHECK(packets.count() == 2);
    CHECK(packets.holds(base + 5));
    CHECK(packets.holds(base + 60));
    CHECK_FALSE(packets.holds(base + 6));
    CHECK(packets.first_from(base) == base + 5);
    CHECK(packets.first_from(base + 6) == base + 60);
    CHECK(packets.oldest_ns() == 100);
    CHECK(packets.take(base + 60) == &far_one);
    CHECK(packets.oldest_ns() == 200);
    CHECK(packets.take() == &near_one);
    CHECK(packets.empty());
  }
}

TEST_CASE("hold queues: numbered packets fill all places", "[gre]") {
  NumberedPackets packets;
  std::vector<rte_mbuf> mbufs(kHoldSpan);
  for (std::uint32_t n = 0; n < kHoldSpan; ++n) packets.put(&mbufs[n], 7 + n, n);
  CHECK(packets.count() == kHoldSpan);
  CHECK(packets.first_from(7) == 7);
  std::set<rte_mbuf*> taken;
  packets.take_all([&](rte_mbuf* one) { taken.insert(one); });
  CHECK(taken.size() == kHoldSpan);
  CHECK(packets.empty());
}

TEST_CASE("hold queues: packets in order leave as they came, round and round", "[gre]") {
  InOrderPackets packets;
  std::vector<rte_mbuf> mbufs(3 * kHoldSpan);
  std::size_t put = 0;
  std::size_t taken = 0;
  while (put < kHoldSpan) packets.put(&mbufs[put++]);
  CHECK(packets.count() == kHoldSpan);
  while (put < mbufs.size()) {
    REQUIRE(packets.take() == &mbufs[taken++]);
    packets.put(&mbufs[put++]);
  }
  packets.take_all([&](rte_mbuf* one) { CHECK(one == &mbufs[taken++]); });
  CHECK(taken == mbufs.size());
  CHECK(packets.empty());
}

TEST_CASE("hold queues: a queue belongs to one session until it is released", "[gre]") {
  HoldQueues<InOrderPackets> queues(true, 100);
  CHECK(queues.empty());
  std::set<std::uint16_t> numbers;
  for (std::uint32_t n = 0; n < queues.kQueues; ++n) {
    const std::uint16_t number = queues.acquire(SlotId(n), n + 1, 10 + n);
    REQUIRE(number != 0);
    REQUIRE(numbers.insert(number).second);
    CHECK(queues.queue(number).slot == SlotId(n));
    CHECK(queues.queue(number).generation == n + 1);
    CHECK(queues.since_ns(queues.queue(number).active_at) == 10 + n);
  }
  CHECK(queues.acquire(SlotId(9), 9, 9) == 0);
  CHECK(queues.active().size() == queues.kQueues);

  // Every second one goes: each of the others still knows its place and its time.
  std::vector<std::uint16_t> released;
  for (const std::uint16_t number : numbers)
    if (number % 2 == 0) released.push_back(number);
  for (const std::uint16_t number : released) queues.release(number);
  CHECK(queues.active().size() == queues.kQueues - released.size());
  for (std::size_t at = 0; at < queues.active().size(); ++at) {
    const auto& queue = queues.queue(queues.active()[at]);
    CHECK(queue.active_at == at);
    CHECK(queues.since_ns(at) == 10 + queue.slot.value);
  }
  // One that is used again comes back empty and unmarked.
  queues.queue(released.back()).marked = true;
  const std::uint16_t again = queues.acquire(SlotId(7), 70, 700);
  CHECK(again == released.back());
  CHECK_FALSE(queues.queue(again).marked);
  CHECK(queues.queue(again).packets.empty());
}

TEST_CASE("hold queues: no more packets in all than may wait", "[gre]") {
  {
    HoldQueues<NumberedPackets> queues(true, 3);
    auto& a = queues.queue(queues.acquire(SlotId(1), 1, 0));
    auto& b = queues.queue(queues.acquire(SlotId(2), 1, 0));
    queues.put(a, packet(), 5U, std::uint64_t{1});
    queues.put(a, packet(), 6U, std::uint64_t{1});
    CHECK(queues.has_room());
    queues.put(b, packet(), 5U, std::uint64_t{1});
    CHECK_FALSE(queues.has_room());
    rte_pktmbuf_free(queues.take(a, 6U));
    CHECK(queues.has_room());
    CHECK(queues.held() == 2);
    CHECK(rte_mempool_in_use_count(pool()) == 2);
  }
  // The queues free the packets that they still hold.
  CHECK(rte_mempool_in_use_count(pool()) == 0);
}

TEST_CASE("hold queues: where nothing may wait there is no queue", "[gre]") {
  HoldQueues<InOrderPackets> queues(false, 100);
  CHECK(queues.acquire(SlotId(1), 1, 0) == 0);
  CHECK(queues.empty());
}
