// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/gre/sequence_window.hpp"

#include <catch2/catch.hpp>

#include "dataplane/gre/ack_list.hpp"
#include "dataplane/packet/policer.hpp"

using namespace pns;
using namespace pns::dataplane;
using window::Verdict;

namespace {

struct Window {
  contract::UpstreamState up;
  std::uint64_t gaps = 0;
  bool mppe = false;

  // "next", "far" or the reason; what came early does not wait.
  std::string take(std::uint32_t sequence) {
    const auto verdict = window::accept(up, sequence, mppe, gaps);
    if (!verdict) return std::string(name_of(verdict.error()));
    if (*verdict == Verdict::kAhead) window::advance(up, sequence, gaps);
    return *verdict == Verdict::kFar ? "far" : "next";
  }
  [[nodiscard]] std::uint32_t highest() const { return up.highest_sequence.load(); }
};

}  // namespace

TEST_CASE("window: the first number is free", "[session][rfc2637-4.3]") {
  for (const std::uint32_t first : {0U, 1U, 5U, 0x80000000U, 0xffffffffU}) {
    Window w;
    CHECK(w.take(first) == "next");
    CHECK(w.take(first + 1) == "next");
    CHECK(w.take(first) == "gre_late");
    CHECK(w.gaps == 0);
  }
}

TEST_CASE("window: duplicates and late packets are refused, gaps counted",
          "[session][rfc2637-4.3][conformance-30]") {
  Window w;
  CHECK(w.take(10) == "next");
  CHECK(w.take(10) == "gre_duplicate");
  CHECK(w.take(13) == "next");
  CHECK(w.take(11) == "gre_late");
  CHECK(w.take(12) == "gre_late");
  CHECK(w.take(14) == "next");
  CHECK(w.gaps == 2);
  CHECK(w.up.sequence_gaps.get() == 2);
}

TEST_CASE("window: the number wraps", "[session][rfc2637-4.1][conformance-32]") {
  Window w;
  CHECK(w.take(0xfffffffe) == "next");
  CHECK(w.take(0xffffffff) == "next");
  CHECK(w.take(0) == "next");
  CHECK(w.take(1) == "next");
  CHECK(w.take(0xffffffff) == "gre_late");
  CHECK(w.gaps == 0);
}

TEST_CASE("window: a forged number far ahead does not lock the peer out",
          "[session][conformance-31]") {
  for (const bool mppe : {false, true})
    for (const std::uint32_t jump : {65U, 1000U, 0x7fffffffU}) {
      Window w;
      w.mppe = mppe;
      CHECK(w.take(100) == "next");
      CHECK(w.take(100 + jump) == "far");
      CHECK(w.take(101) == "next");
      CHECK(w.take(102) == "next");
      CHECK(w.highest() == 102);
    }
}

TEST_CASE("window: a real jump is believed when the next packet follows it", "[session]") {
  Window w;
  CHECK(w.take(0) == "next");
  CHECK(w.take(1'000'000) == "far");
  CHECK(w.take(1'000'000) == "gre_duplicate");
  CHECK(w.take(1'000'001) == "next");
  CHECK(w.highest() == 1'000'001);
  CHECK(w.take(5) == "gre_late");
}

TEST_CASE("window: with MPPE only an opened packet moves it far", "[session]") {
  Window w;
  w.mppe = true;
  CHECK(w.take(0) == "next");
  CHECK(w.take(1000) == "far");
  CHECK(w.take(1000) == "gre_duplicate");
  CHECK(w.take(1001) == "far");
  CHECK(w.take(1001) == "gre_duplicate");
  window::confirm(w.up, 1001, w.gaps);
  CHECK(w.highest() == 1001);
  window::confirm(w.up, 1000, w.gaps);
  CHECK(w.highest() == 1001);
  CHECK(w.gaps == 1000);
}

TEST_CASE("policer: a burst, then the rate", "[session]") {
  EventBucket bucket(1000, 10);
  std::uint64_t now = 5'000'000'000;
  unsigned passed = 0;
  for (unsigned n = 0; n < 100; ++n) passed += bucket.admit_one(now) ? 1 : 0;
  CHECK(passed == 10);
  now += 5'000'000;
  passed = 0;
  for (unsigned n = 0; n < 100; ++n) passed += bucket.admit_one(now) ? 1 : 0;
  CHECK(passed == 5);
}

TEST_CASE("policer: a clock that went back does not close the bucket", "[session]") {
  std::uint64_t spent = 900'000'000'000;
  CHECK(admit(spent, 1'000, 10, 100));
}

TEST_CASE("policer: small packets between large ones do not open a slow bucket", "[session]") {
  // At 64 kbit/s a packet of 1,500 octets takes longer than the burst of the small one behind it.
  std::uint64_t spent = 0;
  std::uint64_t passed = 0;
  const std::uint64_t start = 50'000'000'000;
  for (std::uint64_t now = start; now < start + 10'000'000'000; now += 9'000'000)
    for (const std::uint64_t octets : {1500, 64})
      passed += admit_octets(spent, now, octets, 64'000) ? octets : 0;
  CHECK(passed <= 10 * 8'000 + 3'000);
}

TEST_CASE("policer: octets per second", "[session]") {
  std::uint64_t spent = 0;
  std::uint64_t now = 1'000'000'000;
  unsigned passed = 0;
  // 8 Mbit/s: 1 MB/s; 100 ms of burst is 100 kB.
  for (unsigned n = 0; n < 1000; ++n) passed += admit_octets(spent, now, 1000, 8'000'000) ? 1 : 0;
  CHECK(passed == 100);
  now += 1'000'000'000;
  passed = 0;
  for (unsigned n = 0; n < 1000; ++n) passed += admit_octets(spent, now, 1000, 8'000'000) ? 1 : 0;
  CHECK(passed == 100);
  CHECK(admit_octets(spent, now, 1'000'000, 0));
  std::uint64_t slow = 0;
  CHECK(admit_octets(slow, now, 1500, 8));
  CHECK_FALSE(admit_octets(slow, now, 1500, 8));
}

TEST_CASE("ack list: in order, each session once", "[session]") {
  std::vector<contract::SessionRecord> sessions(4);
  for (auto& session : sessions) session.state = contract::SlotState::kInstalled;
  AckList list(sessions);
  CHECK(list.empty());
  for (unsigned round = 0; round < 10; ++round) {
    list.arm(SlotId(2), 100 + round);
    list.arm(SlotId(0), 200 + round);
    list.arm(SlotId(2), 300 + round);
    list.arm(SlotId(3), 300 + round);
    list.arm(SlotId(1), 300 + round);
    CHECK(list.next_due_ns() == 100 + round);
    CHECK(list.pop() == SlotId(2));
    CHECK(list.pop() == SlotId(0));
    CHECK(list.pop() == SlotId(3));
    CHECK(list.pop() == SlotId(1));
    CHECK(list.empty());
    CHECK(list.next_due_ns() == UINT64_MAX);
  }
}

TEST_CASE("ack list: a session that ended owes nothing, the next one in its slot does",
          "[session]") {
  std::vector<contract::SessionRecord> sessions(2);
  for (auto& session : sessions) session.state = contract::SlotState::kInstalled;
  AckList list(sessions);
  list.arm(SlotId(0), 100);
  ++sessions[0].generation;  // another call
  sessions[0].ack_listed = false;
  list.arm(SlotId(0), 200);
  CHECK(list.pop() == std::nullopt);
  CHECK(sessions[0].ack_listed);
  CHECK(list.pop() == SlotId(0));
  CHECK_FALSE(sessions[0].ack_listed);
  CHECK(list.empty());

  list.arm(SlotId(1), 300);
  sessions[1].state = contract::SlotState::kRemoving;
  CHECK(list.pop() == std::nullopt);

  // Full of what has ended: the others try again later.
  for (unsigned n = 0; n < 2; ++n) {
    list.arm(SlotId(0), 400);
    ++sessions[0].generation;
    sessions[0].ack_listed = false;
  }
  list.arm(SlotId(0), 500);
  CHECK_FALSE(sessions[0].ack_listed);
  CHECK(list.pop() == std::nullopt);
  list.arm(SlotId(0), 600);
  CHECK(sessions[0].ack_listed);
}
