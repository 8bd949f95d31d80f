// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/meant_call.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::pptp;
using model::CallKind;

namespace {

// Calls with our Call ID 100 + number and the peer's 200 + number, unless it has none.
void add(CallTable& table, std::uint32_t number, CallKind kind, bool replied = true) {
  Call call;
  call.number = number;
  call.kind = kind;
  call.state = CallState::kEstablished;
  call.our_call_id = OurCallId(static_cast<std::uint16_t>(100 + number));
  if (replied) call.peer_call_id = PeerCallId(static_cast<std::uint16_t>(200 + number));
  table.add(std::move(call));
}

std::uint32_t number_of(const Call* call) { return call == nullptr ? 0 : call->number; }

}  // namespace

TEST_CASE("meant call: a Reply means the request of its kind", "[pptp][rfc2637-2.8]") {
  CallTable table;
  add(table, 1, CallKind::kPlaced);
  add(table, 2, CallKind::kAnnounced);
  CHECK(number_of(replied_call(table, CallKind::kPlaced, OurCallId(101))) == 1);
  CHECK(number_of(replied_call(table, CallKind::kPlaced, OurCallId(102))) == 0);
  CHECK(number_of(replied_call(table, CallKind::kAnnounced, OurCallId(102))) == 2);
}

TEST_CASE("meant call: Call-Clear-Request names the id of the PNS", "[pptp][rfc2637-2.12]") {
  CallTable table;
  add(table, 1, CallKind::kSubscriber);
  add(table, 2, CallKind::kSubscriber);
  add(table, 3, CallKind::kPlaced);
  const auto clear = [&table](std::uint16_t id) { return cleared_call(table, {.call_id = id}); };
  CHECK(number_of(clear(202).call) == 2);
  CHECK_FALSE(clear(202).by_another_id);
  // Some peers put in the other id. With two calls to be cleared an unknown id means none.
  CHECK(number_of(clear(101).call) == 1);
  CHECK(number_of(clear(999).call) == 0);
  table.remove(1);
  CHECK(number_of(clear(999).call) == 2);
  CHECK(clear(999).by_another_id);
  // The id of a call that has ended never means the one that is left.
  CHECK(number_of(clear(201).call) == 0);
}

TEST_CASE("meant call: Call-Disconnect-Notify names the id of the PAC", "[pptp][rfc2637-2.13]") {
  CallTable table;
  add(table, 1, CallKind::kSubscriber);
  add(table, 2, CallKind::kPlaced);
  const auto disconnected = [&table](std::uint16_t id) {
    return number_of(disconnected_call(table, {.call_id = id}));
  };
  CHECK(disconnected(101) == 1);
  CHECK(disconnected(202) == 2);
  CHECK(disconnected(201) == 1);  // the other id
  CHECK(disconnected(999) == 0);
  // We cleared a call before its Reply: nobody has told us the id of its PAC.
  add(table, 3, CallKind::kPlaced, false);
  table.set_state(*table.find(3), CallState::kWaitDisconnect);
  CHECK(disconnected(999) == 3);
}
