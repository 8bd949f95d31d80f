// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/packet/departure_wheel.hpp"

#include <rte_mempool.h>

#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <vector>

using namespace pns;
using namespace pns::dataplane;

namespace {

constexpr std::uint64_t kSlot = DepartureWheel::kSlotNs;
constexpr std::uint64_t kStart = 1'000 * kSlot;

rte_mempool* pool() {
  static rte_mempool* made =
      rte_pktmbuf_pool_create("wheel", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  return made;
}

rte_mbuf* packet() {
  rte_mbuf* made = rte_pktmbuf_alloc(pool());
  REQUIRE(made != nullptr);
  return made;
}

std::vector<rte_mbuf*> due(DepartureWheel& wheel, std::uint64_t now_ns, std::size_t most = 32) {
  std::vector<rte_mbuf*> out(most);
  out.resize(wheel.take_due(out, now_ns));
  return out;
}

}  // namespace

TEST_CASE("departure wheel: a packet leaves at the end of its slot, and not before", "[packet]") {
  DepartureWheel wheel(8);
  CHECK(wheel.next_due_ns() == UINT64_MAX);
  CHECK(due(wheel, kStart).empty());
  rte_mbuf* const late = packet();
  rte_mbuf* const early = packet();
  wheel.put(late, kStart + 5 * kSlot + 1, kStart);
  CHECK(wheel.next_due_ns() == kStart + 6 * kSlot);
  wheel.put(early, kStart + 2 * kSlot, kStart);
  CHECK(wheel.packets() == 2);
  CHECK(wheel.next_due_ns() == kStart + 2 * kSlot);
  CHECK(due(wheel, kStart + 2 * kSlot - 1).empty());
  CHECK(due(wheel, kStart + 2 * kSlot) == std::vector{early});
  CHECK(wheel.next_due_ns() == kStart + 6 * kSlot);
  CHECK(due(wheel, kStart + 6 * kSlot - 1).empty());
  CHECK(due(wheel, kStart + 100 * kSlot) == std::vector{late});
  CHECK(wheel.next_due_ns() == UINT64_MAX);
  for (rte_mbuf* each : {late, early}) rte_pktmbuf_free(each);
}

TEST_CASE("departure wheel: a packet that waits long holds up no other", "[packet]") {
  DepartureWheel wheel(8);
  rte_mbuf* const first = packet();
  rte_mbuf* const late = packet();
  rte_mbuf* const next = packet();
  wheel.put(first, kStart + 4 * kSlot, kStart);
  wheel.put(late, kStart + 1'900 * kSlot, kStart);
  CHECK(due(wheel, kStart + 8 * kSlot) == std::vector{first});
  wheel.put(next, kStart + 12 * kSlot, kStart + 9 * kSlot);
  CHECK(wheel.next_due_ns() == kStart + 12 * kSlot);
  CHECK(due(wheel, kStart + 12 * kSlot) == std::vector{next});
  CHECK(due(wheel, kStart + 1'899 * kSlot).empty());
  CHECK(due(wheel, kStart + 1'900 * kSlot) == std::vector{late});
  for (rte_mbuf* each : {first, late, next}) rte_pktmbuf_free(each);
}

TEST_CASE("departure wheel: times that never decrease keep their order", "[packet]") {
  // Two flows, one with times around the wheel's end; some leave while others come.
  DepartureWheel wheel(200);
  std::array<std::deque<rte_mbuf*>, 2> waiting;
  std::array<std::uint64_t, 2> last{};
  std::uint64_t now_ns = kStart;
  std::uint64_t left = 0;
  std::map<rte_mbuf*, std::uint64_t> due_ns;
  for (unsigned n = 0; n < 20'000; ++n) {
    const unsigned flow = n % 2;
    if (!wheel.full()) {
      last[flow] = std::max(last[flow], now_ns + (flow == 0 ? kSlot / 7 : 700 * kSlot));
      rte_mbuf* const made = packet();
      due_ns[made] = last[flow];
      waiting[flow].push_back(made);
      wheel.put(made, last[flow], now_ns);
    }
    now_ns += 5 * kSlot;
    for (rte_mbuf* each : due(wheel, now_ns, 3)) {
      auto& of = !waiting[0].empty() && waiting[0].front() == each ? waiting[0] : waiting[1];
      REQUIRE(of.front() == each);
      REQUIRE(due_ns.at(each) <= now_ns);
      of.pop_front();
      ++left;
      rte_pktmbuf_free(each);
    }
  }
  CHECK(left > 10'000);
  CHECK(wheel.packets() == waiting[0].size() + waiting[1].size());
}

TEST_CASE("departure wheel: a worker that stood still loses nothing and laps nothing", "[packet]") {
  DepartureWheel wheel(8);
  std::vector<rte_mbuf*> made;
  for (int n = 0; n < 4; ++n) made.push_back(packet());
  wheel.put(made[0], kStart + kSlot, kStart);
  wheel.put(made[1], kStart + DepartureWheel::kHorizonNs, kStart);
  // Ten times round the wheel later, before anything was taken.
  const std::uint64_t later = kStart + 10 * DepartureWheel::kSlots * kSlot;
  wheel.put(made[2], later, later);
  wheel.put(made[3], later + DepartureWheel::kHorizonNs, later);
  CHECK(due(wheel, later + DepartureWheel::kHorizonNs + kSlot) == made);
  for (rte_mbuf* each : made) rte_pktmbuf_free(each);
}

TEST_CASE("departure wheel: its room is bounded, and it frees what it holds", "[packet]") {
  const unsigned before = rte_mempool_avail_count(pool());
  {
    DepartureWheel none(0);
    CHECK(none.full());
    DepartureWheel wheel(3);
    for (unsigned n = 0; n < 3; ++n) {
      CHECK_FALSE(wheel.full());
      wheel.put(packet(), kStart + n * 700 * kSlot, kStart);
    }
    CHECK(wheel.full());
    const auto first = due(wheel, kStart + kSlot, 2);
    REQUIRE(first.size() == 1);
    rte_pktmbuf_free(first[0]);
    CHECK_FALSE(wheel.full());
  }
  CHECK(rte_mempool_avail_count(pool()) == before);
}
