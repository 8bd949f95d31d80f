// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/recovery.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::loadgen;

namespace {

constexpr TimePoint kStart{Seconds(100)};

// Sends one packet each 10 ms after the disturbance, numbers from 50 on; '+' is answered 1 ms
// later.
Recovery after(std::string_view answered, std::optional<TimePoint> over = kStart) {
  Recovery recovery(0, 50, over);
  for (std::size_t i = 0; i < answered.size(); ++i) {
    const TimePoint now = kStart + Milliseconds(10 * i);
    recovery.on_sent(now);
    if (answered[i] == '+') recovery.on_answered(50 + i, now + Milliseconds(1));
  }
  return recovery;
}

}  // namespace

TEST_CASE("recovery: of ten in a row nine must be answered", "[loadgen]") {
  CHECK(after("++++++++++++").back() == Milliseconds(1));
  CHECK(after("--++++++++++").back() == Milliseconds(21));
  CHECK(after("+-++++++++++").back() == Milliseconds(1));      // nine of the first ten
  CHECK(after("+--+++++++++++").back() == Milliseconds(31));   // eight of the first ten
  CHECK(after("+--+-++++++++++").back() == Milliseconds(31));  // the window begins answered
  CHECK_FALSE(after("------------").back());
  CHECK_FALSE(after("").back());
}

TEST_CASE("recovery: the last packets form a smaller window", "[loadgen]") {
  CHECK(after("-----------++").back() == Milliseconds(111));
  CHECK(after("-----------+-+").back() == Milliseconds(131));
  CHECK_FALSE(after("+-+-+-+-+-+-+-").back());
}

TEST_CASE("recovery: what is lost, and the earliest answer", "[loadgen]") {
  auto recovery = after("--+-+");
  CHECK(recovery.sent() == 5);
  CHECK(recovery.lost() == 3);
  CHECK(recovery.first_answer() == Milliseconds(21));
  recovery.on_answered(49, kStart);  // was in flight
  recovery.on_answered(55, kStart);  // is sent later, within the next outage
  CHECK(recovery.lost() == 3);
  recovery.on_answered(50, kStart + Milliseconds(2));  // late, and earlier than the others
  CHECK(recovery.lost() == 2);
  CHECK(recovery.first_answer() == Milliseconds(2));
}

TEST_CASE("recovery: of a gap the time counts from the first packet after it", "[loadgen]") {
  Recovery recovery(3, 0, std::nullopt);
  CHECK_FALSE(recovery.first_answer());
  recovery.on_sent(kStart + Seconds(7));
  recovery.on_answered(0, kStart + Seconds(7) + Milliseconds(4));
  CHECK(recovery.first_answer() == Milliseconds(4));
  CHECK(recovery.disturbance() == 3);
}
