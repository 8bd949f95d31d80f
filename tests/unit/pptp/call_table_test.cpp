// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/call_table.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::pptp;

namespace {

constexpr TimePoint kBegin{Seconds(1000)};

// A table in which calls of these numbers have our Call ID 100 + number and the peer's 200 +
// number.
CallTable table_of(std::initializer_list<std::uint32_t> numbers) {
  CallTable table;
  for (const std::uint32_t number : numbers) {
    Call call;
    call.number = number;
    call.our_call_id = OurCallId(static_cast<std::uint16_t>(100 + number));
    call.peer_call_id = PeerCallId(static_cast<std::uint16_t>(200 + number));
    table.add(std::move(call));
  }
  return table;
}

// The same call of a small table, which is looked through, and of one with an index.
CallTable few() { return table_of({3, 1, 2}); }
CallTable many() { return table_of({9, 7, 3, 1, 8, 2}); }

}  // namespace

TEST_CASE("call table: a few calls and many calls are found alike", "[pptp]") {
  CallTable table = GENERATE(false, true) ? few() : many();
  REQUIRE(table.find(2) != nullptr);
  CHECK(table.find(2)->number == 2);
  CHECK(table.find(5) == nullptr);
  CHECK(table.find_ours(OurCallId(103))->number == 3);
  CHECK(table.find_theirs(PeerCallId(203))->number == 3);
  CHECK(table.find_ours(OurCallId(203)) == nullptr);
  CHECK(table.find_either(203, true)->number == 3);
  CHECK(table.find_either(203, false)->number == 3);

  // The oldest of those with one id that matches.
  table.set_peer_call_id(*table.find(1), PeerCallId(203));
  CHECK(table.find_theirs(PeerCallId(203))->number == 1);
  CHECK(table.find_theirs(PeerCallId(203), [](const Call& call) { return call.number != 1; })
            ->number == 3);
  CHECK(table.find_theirs(PeerCallId(203), [](const Call&) { return false; }) == nullptr);
  CHECK(table.find_theirs(PeerCallId(201)) == nullptr);
  table.set_our_call_id(*table.find(2), OurCallId(999));
  CHECK(table.find_ours(OurCallId(102)) == nullptr);
  CHECK(table.find_ours(OurCallId(999))->number == 2);
}

TEST_CASE("call table: numbers are in order, and a removed call is found by nothing", "[pptp]") {
  const bool index = GENERATE(false, true);
  CallTable table = index ? many() : few();
  table.set_answer_by(*table.find(3), kBegin);
  table.remove(3);
  CHECK(table.numbers() ==
        (index ? std::vector<std::uint32_t>{1, 2, 7, 8, 9} : std::vector<std::uint32_t>{1, 2}));
  CHECK(table.find(3) == nullptr);
  CHECK(table.find_ours(OurCallId(103)) == nullptr);
  CHECK(table.find_theirs(PeerCallId(203)) == nullptr);
  CHECK_FALSE(table.deadline());
  for (const std::uint32_t number : table.numbers()) {  // the others have kept their places
    REQUIRE(table.find(number) != nullptr);
    CHECK(table.find_ours(*table.find(number)->our_call_id)->number == number);
  }
  for (const std::uint32_t number : table.numbers()) table.remove(number);
  CHECK(table.calls().empty());
  CHECK(table.is_gone(PeerCallId(203)));
}

TEST_CASE("call table: deadlines come in order, equal ones by number", "[pptp]") {
  CallTable table = GENERATE(false, true) ? few() : many();
  CHECK_FALSE(table.deadline());
  table.set_answer_by(*table.find(3), kBegin + Seconds(1));
  table.set_answer_by(*table.find(2), kBegin + Seconds(1));
  table.set_answer_by(*table.find(1), kBegin + Seconds(2));
  CHECK(table.deadline() == kBegin + Seconds(1));
  CHECK(table.late(kBegin).empty());
  CHECK(table.late(kBegin + Seconds(1)) == std::vector<std::uint32_t>{2, 3});
  CHECK(table.late(kBegin + Seconds(5)) == std::vector<std::uint32_t>{2, 3, 1});
  table.set_answer_by(*table.find(2), std::nullopt);
  CHECK(table.late(kBegin + Seconds(5)) == std::vector<std::uint32_t>{3, 1});
}

TEST_CASE("call table: the oldest call that was cleared before its Reply", "[pptp]") {
  CallTable table = GENERATE(false, true) ? few() : many();
  CHECK(table.find_cleared_before_reply() == nullptr);
  table.set_state(*table.find(2), CallState::kWaitDisconnect);  // its Call ID of the peer is known
  CHECK(table.find_cleared_before_reply() == nullptr);
  for (const std::uint32_t number : {22u, 21u}) {
    Call call;
    call.number = number;
    call.kind = model::CallKind::kPlaced;
    call.our_call_id = OurCallId(static_cast<std::uint16_t>(100 + number));
    table.add(std::move(call));
    table.set_state(*table.find(number), CallState::kWaitDisconnect);
  }
  CHECK(table.find_cleared_before_reply()->number == 21);
  table.set_peer_call_id(*table.find(21), PeerCallId(5));
  CHECK(table.find_cleared_before_reply()->number == 22);
}

TEST_CASE("call table: numbers are never given twice", "[pptp]") {
  CallTable table = GENERATE(false, true) ? few() : many();
  table.skip_numbers(0xffff'fffe);
  CHECK(table.take_number() == 0xffff'ffff);
  CHECK(table.take_number() == 4);  // 1 to 3 are taken
  CHECK(table.take_number() == 5);
}

TEST_CASE("call table: the only call of which we are the PAC", "[pptp]") {
  CallTable table = GENERATE(false, true) ? few() : many();
  CHECK(table.find_only_as_pac() == nullptr);
  for (const std::uint32_t number : table.numbers())
    if (number != 2) table.remove(number);
  Call placed;
  placed.number = 50;
  placed.kind = model::CallKind::kPlaced;
  table.add(std::move(placed));
  REQUIRE(table.find_only_as_pac() != nullptr);
  CHECK(table.find_only_as_pac()->number == 2);
}

TEST_CASE("call table: changes are told once, a call that came and went is not reported",
          "[pptp]") {
  CallTable table = GENERATE(false, true) ? few() : many();
  CHECK(table.take_changes().empty());  // add() alone is no change
  table.set_state(*table.find(1), CallState::kEstablished);
  table.set_state(*table.find(1), CallState::kWaitDisconnect);
  auto changes = table.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes.front().number == 1);
  CHECK_FALSE(changes.front().reported);
  CHECK(table.take_changes().empty());
  table.remove(1);
  changes = table.take_changes();
  REQUIRE(changes.size() == 1);
  CHECK(changes.front().reported);
}

TEST_CASE("call table: the last sixteen Call IDs that are gone are known", "[pptp]") {
  CallTable table;
  for (std::uint16_t id = 1; id <= 20; ++id) {
    Call call;
    call.number = table.take_number();
    call.peer_call_id = PeerCallId(id);
    const std::uint32_t number = table.add(std::move(call)).number;
    table.remove(number);
  }
  CHECK_FALSE(table.is_gone(PeerCallId(4)));
  CHECK(table.is_gone(PeerCallId(5)));
  CHECK(table.is_gone(PeerCallId(20)));
  table.forget_gone(PeerCallId(20));
  CHECK_FALSE(table.is_gone(PeerCallId(20)));
}
