// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/admission.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <vector>

using namespace pns;
using namespace pns::subscriber;

namespace {

constexpr TimePoint kStart{Seconds(1000)};
constexpr Ipv4Address kA{1}, kB{2}, kC{3};

model::OfferCall offer(std::uint32_t number) { return {.offer = number, .peer_call_id = {}}; }

// Queues an offer of a connection that has the number of its source.
EndReason enqueue(Admission& admission, Ipv4Address source, std::uint32_t number,
                  TimePoint now = kStart) {
  return admission.enqueue(ConnectionId(source.value), source, offer(number), now);
}

// The numbers of what is admitted now, in order.
std::vector<std::uint32_t> admit(Admission& admission, TimePoint now = kStart,
                                 std::vector<Admission::Ticket>* tickets = nullptr) {
  std::vector<std::uint32_t> out;
  while (const auto next = admission.next(now)) {
    out.push_back(next->offer.offer);
    const auto ticket = admission.begin(next->source, now);
    if (tickets != nullptr) tickets->push_back(ticket);
  }
  return out;
}

using Numbers = std::vector<std::uint32_t>;

}  // namespace

TEST_CASE("admission: the oldest offers go first, as many as may be in flight", "[admission]") {
  Admission admission({.set_ups = 3, .per_source_set_ups = 3});
  for (std::uint32_t i = 0; i < 6; ++i)
    REQUIRE(enqueue(admission, i % 2 == 0 ? kA : kB, i) == EndReason::kNone);
  std::vector<Admission::Ticket> tickets;
  CHECK(admit(admission, kStart, &tickets) == Numbers{0, 1, 2});
  CHECK(admission.in_flight() == 3);
  CHECK(admission.waiting() == 3);
  admission.end(tickets[1]);
  admission.end(tickets[1]);  // the link was open, then the call ended
  CHECK(admit(admission) == Numbers{3});
  CHECK(admission.in_flight() == 3);
}

TEST_CASE("admission: a source with its share in flight lets the others pass", "[admission]") {
  Admission admission({.set_ups = 10, .per_source_set_ups = 2});
  for (std::uint32_t i = 0; i < 5; ++i) REQUIRE(enqueue(admission, kA, i) == EndReason::kNone);
  REQUIRE(enqueue(admission, kB, 50) == EndReason::kNone);
  REQUIRE(enqueue(admission, kC, 60) == EndReason::kNone);
  std::vector<Admission::Ticket> tickets;
  CHECK(admit(admission, kStart, &tickets) == Numbers{0, 1, 50, 60});
  admission.end(tickets[0]);
  admission.end(tickets[1]);
  CHECK(admit(admission) == Numbers{2, 3});
}

TEST_CASE("admission: too many waiting offers are refused, of one source and in all",
          "[admission]") {
  Admission admission({.set_ups = 1, .waiting = 5, .per_source_waiting = 3});
  for (std::uint32_t i = 0; i < 3; ++i) CHECK(enqueue(admission, kA, i) == EndReason::kNone);
  CHECK(enqueue(admission, kA, 3) == EndReason::source_limit);
  CHECK(enqueue(admission, kB, 0) == EndReason::kNone);
  CHECK(enqueue(admission, kB, 1) == EndReason::kNone);
  CHECK(enqueue(admission, kC, 0) == EndReason::admission_queue_full);
  CHECK(admit(admission) == Numbers{0});
  CHECK(enqueue(admission, kA, 3) == EndReason::kNone);
}

TEST_CASE("admission: what waits too long is given up, oldest first", "[admission]") {
  Admission admission({.set_ups = 1, .wait = Seconds(20), .set_up_time = Seconds(60)});
  REQUIRE(enqueue(admission, kA, 0) == EndReason::kNone);
  REQUIRE(enqueue(admission, kA, 1) == EndReason::kNone);
  REQUIRE(enqueue(admission, kB, 2, kStart + Seconds(5)) == EndReason::kNone);
  CHECK(admit(admission) == Numbers{0});
  CHECK(admission.deadline() == kStart + Seconds(20));
  CHECK_FALSE(admission.next_overdue(kStart + Seconds(20) - Duration(1)));
  CHECK(admission.next_overdue(kStart + Seconds(20))->offer.offer == 1);
  CHECK_FALSE(admission.next_overdue(kStart + Seconds(20)));
  CHECK(admission.deadline() == kStart + Seconds(25));
  CHECK(admission.next_overdue(kStart + Seconds(25))->offer.offer == 2);
  CHECK_FALSE(admission.deadline());
}

TEST_CASE("admission: withdrawn offers and those of a closed connection leave at once",
          "[admission]") {
  Admission admission({.set_ups = 1, .per_source_set_ups = 1});
  const auto ticket = admission.begin(kC, kStart);
  for (std::uint32_t i = 0; i < 100; ++i) {
    REQUIRE(enqueue(admission, kA, i) == EndReason::kNone);
    REQUIRE(enqueue(admission, kB, i) == EndReason::kNone);
  }
  CHECK(admission.withdraw(ConnectionId(kA.value), 0));
  CHECK_FALSE(admission.withdraw(ConnectionId(kA.value), 0));
  CHECK_FALSE(admission.withdraw(ConnectionId(kA.value), 100));
  CHECK(admission.waiting() == 199);
  admission.forget(ConnectionId(kB.value));
  admission.forget(ConnectionId(kB.value));
  CHECK(admission.waiting() == 99);
  CHECK(admission.sources() == 2);
  admission.end(ticket);
  CHECK(admit(admission) == Numbers{1});
  admission.forget(ConnectionId(kA.value));
  CHECK(admission.sources() == 1);  // with a set-up in flight
  CHECK_FALSE(admission.deadline());
}

TEST_CASE("admission: a source that goes silent after it has dialled keeps nobody out",
          "[admission]") {
  Admission admission({.set_ups = 4, .per_source_set_ups = 2, .set_up_time = Seconds(60)});
  std::vector<Admission::Ticket> silent;
  for (std::uint32_t i = 0; i < 100; ++i) REQUIRE(enqueue(admission, kA, i) == EndReason::kNone);
  CHECK(admit(admission, kStart, &silent) == Numbers{0, 1});
  // Its share is half: others get in beside it,
  REQUIRE(enqueue(admission, kB, 200) == EndReason::kNone);
  std::vector<Admission::Ticket> good;
  CHECK(admit(admission, kStart + Seconds(1), &good) == Numbers{200});
  admission.end(good[0]);
  // and when silent ones hold every place, until these have been held for set_up_time.
  for (const Ipv4Address source : {kB, kC}) {
    REQUIRE(enqueue(admission, source, 300) == EndReason::kNone);
    REQUIRE(enqueue(admission, source, 301) == EndReason::kNone);
  }
  CHECK(admit(admission, kStart + Seconds(10)).size() == 2);
  CHECK(admission.deadline() == kStart + Seconds(20));  // of the first that waits too long
  while (admission.next_overdue(kStart + Seconds(50))) continue;
  REQUIRE(enqueue(admission, kC, 400, kStart + Seconds(50)) == EndReason::kNone);
  CHECK(admission.deadline() == kStart + Seconds(60));
  CHECK(admit(admission, kStart + Seconds(60) - Duration(1)).empty());
  CHECK(admit(admission, kStart + Seconds(60)) == Numbers{400});
  // Against its own source a dawdler counts until it is over.
  REQUIRE(enqueue(admission, kA, 500, kStart + Seconds(60)) == EndReason::kNone);
  CHECK(admit(admission, kStart + Seconds(69)).empty());
  admission.end(silent[0]);
  CHECK(admit(admission, kStart + Seconds(69)) == Numbers{500});
}

TEST_CASE("admission: calls of our own count, and need no turn", "[admission]") {
  Admission admission({.set_ups = 2, .per_source_set_ups = 1});
  const auto first = admission.begin(kA, kStart);
  const auto second = admission.begin(kA, kStart);
  CHECK(admission.in_flight() == 2);
  REQUIRE(enqueue(admission, kB, 1) == EndReason::kNone);
  CHECK(admit(admission).empty());
  admission.end(first);
  CHECK(admit(admission) == Numbers{1});
  REQUIRE(enqueue(admission, kA, 2) == EndReason::kNone);
  admission.end(second);
  CHECK(admit(admission) == Numbers{2});
}

TEST_CASE("admission: an exhausted source's many offers cost the others no time", "[admission]") {
  constexpr std::uint32_t kMany = 20'000;
  Admission admission(
      {.set_ups = 4, .per_source_set_ups = 1, .waiting = 2 * kMany, .per_source_waiting = kMany});
  (void)admission.begin(kA, kStart);
  for (std::uint32_t i = 0; i < kMany; ++i) REQUIRE(enqueue(admission, kA, i) == EndReason::kNone);
  const auto began = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < kMany; ++i) {
    REQUIRE(enqueue(admission, kB, i) == EndReason::kNone);
    const auto next = admission.next(kStart);
    REQUIRE(next);
    REQUIRE(next->source == kB);
    admission.end(admission.begin(kB, kStart));
  }
  // A scan over what waits would be 4 × 10⁸ steps.
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(1));
}

TEST_CASE("admission: four silent sources delay the others by set_up_time at most", "[admission]") {
  Admission admission({});  // as by default: 256 places, 64 of a source, 10 s
  for (std::uint32_t silent = 1; silent <= 4; ++silent)
    for (std::uint32_t i = 0; i < 1000; ++i)
      REQUIRE(enqueue(admission, Ipv4Address{silent}, i) == EndReason::kNone);
  CHECK(admit(admission).size() == 256);
  constexpr Ipv4Address kGood{5};
  REQUIRE(enqueue(admission, kGood, 7777) == EndReason::kNone);
  const TimePoint end = kStart + Seconds(10);
  CHECK(admission.deadline() == end);
  CHECK(admit(admission, end - Duration(1)).empty());
  // The silent have no room of their own, so that the good one is next, long before it gives up.
  std::vector<Admission::Ticket> tickets;
  CHECK(admit(admission, end, &tickets) == Numbers{7777});
  admission.end(tickets[0]);
  // Nor do the same set-ups keep anybody out a second time.
  REQUIRE(enqueue(admission, kGood, 8888, end) == EndReason::kNone);
  CHECK(admit(admission, end) == Numbers{8888});
}

TEST_CASE("admission: an offer that waits already is not queued again", "[admission]") {
  Admission admission(Admission::Settings{});
  const TimePoint now{Seconds(1)};
  model::OfferCall offer;
  offer.offer = 7;
  CHECK(admission.enqueue(ConnectionId(1), Ipv4Address(1), offer, now) == EndReason::kNone);
  CHECK(admission.enqueue(ConnectionId(1), Ipv4Address(1), offer, now) == EndReason::kNone);
  CHECK(admission.waiting() == 1);
  CHECK(admission.next(now));
  CHECK_FALSE(admission.next(now));
}
