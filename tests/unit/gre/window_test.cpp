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
  const contract::OctetRate rate(64'000, 0);
  const std::uint64_t start = 50'000'000'000;
  for (std::uint64_t now = start; now < start + 10'000'000'000; now += 9'000'000)
    for (const std::uint64_t octets : {1500, 64})
      passed += admit_octets(spent, now, octets, rate) ? octets : 0;
  CHECK(passed <= 10 * 8'000 + 3'000);
}

TEST_CASE("policer: octets per second", "[session]") {
  std::uint64_t spent = 0;
  std::uint64_t now = 1'000'000'000;
  // 8 Mbit/s: 1 MB/s; 250 ms of burst is 250 kB, and up to 1/16 more (OctetRate).
  const contract::OctetRate rate(8'000'000, 0);
  const auto passed = [&] {
    unsigned packets = 0;
    for (unsigned n = 0; n < 1000; ++n) packets += admit_octets(spent, now, 1000, rate) ? 1 : 0;
    return packets;
  };
  const unsigned burst = passed();
  CHECK(burst >= 250);
  CHECK(burst <= 266);
  now += 1'000'000'000;
  CHECK(passed() == burst);
  now += 50'000'000;
  CHECK(passed() == 50);
  std::uint64_t slow = 0;
  CHECK(admit_octets(slow, now, 1500, contract::OctetRate(8, 0)));
  CHECK_FALSE(admit_octets(slow, now, 1500, contract::OctetRate(8, 0)));
}

TEST_CASE("octet rate: the cost of a packet is that of the rate", "[session]") {
  for (const std::uint64_t rate :
       {1'000ULL, 64'000ULL, 10'000'000ULL, 123'456'789ULL, 1'000'000'000ULL, 100'000'000'000ULL}) {
    CAPTURE(rate);
    const contract::OctetRate packed(rate, 0);
    const double exact = 1500 * 8e9 / static_cast<double>(rate);
    CHECK(static_cast<double>(packed.cost_ns(1500)) == Approx(exact).epsilon(4e-6).margin(1));
    CHECK(packed.burst_ns() >= contract::OctetRate::kDefaultBurstNs);
    CHECK(packed.burst_ns() <= contract::OctetRate::kDefaultBurstNs * 17 / 16);
  }
  CHECK_FALSE(contract::OctetRate(0, 5));
  // The lowest and the highest that there are.
  CHECK(contract::OctetRate(1, 0) == contract::OctetRate(59, 0));
  CHECK(contract::OctetRate(UINT64_MAX, 0));
  CHECK(contract::OctetRate(UINT64_MAX, 0).cost_ns(1500) <= 1);
}

TEST_CASE("octet rate: the burst is the one asked for, or a little longer", "[session]") {
  for (const std::uint64_t octets : {20'000ULL, 125'000ULL, 1'000'000ULL}) {
    CAPTURE(octets);
    const contract::OctetRate packed(10'000'000, octets);
    const double exact = static_cast<double>(octets) * 800;  // ns at 10 Mbit/s
    CHECK(static_cast<double>(packed.burst_ns()) >= exact * 0.999);
    CHECK(static_cast<double>(packed.burst_ns()) <= exact * 1.07);
  }
  CHECK(contract::OctetRate(1'000, UINT64_MAX).burst_ns() == 31ULL << 29);  // the longest
  CHECK(contract::OctetRate(1'000'000'000, 1).burst_ns() == 16ULL << 14);   // the shortest
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
