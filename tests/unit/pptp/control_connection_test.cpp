// SPDX-License-Identifier: BSD-3-Clause
//
// Tests of this server's own choices. tests/conformance/rfc2637_test.cpp has RFC 2637's demands.
#include "controlplane/pptp/control_connection.hpp"

#include <map>

#include <catch2/catch.hpp>

#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/pptp_actions.hpp"

using namespace pns;
using namespace pns::pptp;
using namespace pns::test;
using namespace pns::wire::pptp;
using State = ControlConnection::State;

TEST_CASE("connection: two calls with one peer Call ID are refused, always the same way",
          "[pptp][wire-facts-5][conformance-18]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  const auto first = connection.on_message(OutgoingCallRequest{.call_id = 7}, clock.now());
  REQUIRE(only<model::OfferCall>(first) != nullptr);
  for (int i = 0; i < 2; ++i) {  // while it is offered, and when it is up
    const auto again = connection.on_message(OutgoingCallRequest{.call_id = 7}, clock.now());
    const auto* reply = refusal(again, EndReason::call_id_in_use);
    REQUIRE(reply != nullptr);
    CHECK(reply->result_code == 2);
    CHECK(reply->error_code == 5);
    CHECK(reply->peers_call_id == 7);
    CHECK(reply->call_id == 0);
    CHECK(pns::test::refused(again) == EndReason::call_id_in_use);
    if (i == 0)
      (void)connection.our_calls().accept(only<model::OfferCall>(first)->offer, OurCallId(100),
                                          clock.now());
  }
  CHECK(connection.calls().size() == 1);
}

TEST_CASE("connection: Call ID 0 of the peer is as good as any", "[pptp][wire-facts-4]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  CHECK(open_call(connection, clock, 0, OurCallId(100)));
  const auto cleared = connection.on_message(CallClearRequest{0}, clock.now());
  CHECK(ended(cleared, OurCallId(100)) == EndReason::peer_cleared_call);
}

TEST_CASE("connection: a clear with a strange Call ID means the only call there is",
          "[pptp][wire-facts-3]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  SECTION("one call") {
    const auto cleared = connection.on_message(CallClearRequest{9999}, clock.now());
    CHECK(ended(cleared, OurCallId(100)) == EndReason::peer_cleared_call);
    CHECK(connection.counters().clear_with_wrong_call_id == 1);
  }
  SECTION("two calls") {
    REQUIRE(open_call(connection, clock, 8, OurCallId(101)));
    CHECK(connection.on_message(CallClearRequest{9999}, clock.now()).empty());
    CHECK(connection.calls().size() == 2);
    CHECK(connection.counters().messages_ignored == 1);
  }
  SECTION("no call") {
    (void)connection.on_message(CallClearRequest{7}, clock.now());
    CHECK(connection.on_message(CallClearRequest{7}, clock.now()).empty());
  }
}

TEST_CASE("connection: a clear of a call that was refused or has ended means no other call",
          "[pptp][wire-facts-3]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  SECTION("refused: pptp-linux clears such a call at once") {
    const auto asked = connection.on_message(OutgoingCallRequest{.call_id = 8}, clock.now());
    (void)connection.our_calls().refuse(only<model::OfferCall>(asked)->offer, EndReason::draining,
                                        clock.now());
  }
  SECTION("ended, and cleared twice") {
    REQUIRE(open_call(connection, clock, 8, OurCallId(101)));
    const auto cleared = connection.on_message(CallClearRequest{8}, clock.now());
    CHECK(ended(cleared, OurCallId(101)) == EndReason::peer_cleared_call);
  }
  CHECK(connection.on_message(CallClearRequest{8}, clock.now()).empty());
  CHECK(connection.calls().size() == 1);
  CHECK(connection.counters().messages_ignored == 1);
  CHECK(connection.counters().clear_with_wrong_call_id == 0);
  // The id names a call again as soon as the peer uses it.
  REQUIRE(open_call(connection, clock, 8, OurCallId(102)));
  const auto cleared = connection.on_message(CallClearRequest{8}, clock.now());
  CHECK(ended(cleared, OurCallId(102)) == EndReason::peer_cleared_call);
}

TEST_CASE("connection: a disconnect from our side carries our own Call ID and what was counted",
          "[pptp][wire-facts-2]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const auto actions = connection.our_calls().end(
      OurCallId(100), EndReason::operator_cleared,
      {.rx_packets = 1, .rx_bytes = 2, .tx_packets = 3, .tx_bytes = 4, .duration = Seconds(5)},
      clock.now());
  REQUIRE(actions.size() == 2);
  const auto* notify = message<CallDisconnectNotify>(actions[0]);
  REQUIRE(notify != nullptr);
  CHECK(notify->call_id == 100);
  CHECK(notify->result_code == 3);
  CHECK(text_of(notify->call_statistics) == "rxp=1 rxb=2 txp=3 txb=4 s=5");
  CHECK(ended(actions, OurCallId(100)) == EndReason::operator_cleared);
  CHECK(connection.our_calls()
            .end(OurCallId(100), EndReason::operator_cleared, {}, clock.now())
            .empty());
}

TEST_CASE("connection: the largest statistics still fit", "[pptp]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const std::uint64_t most = ~std::uint64_t{0};
  const auto actions = connection.our_calls().end(OurCallId(100), EndReason::idle_timeout,
                                                  {.rx_packets = most,
                                                   .rx_bytes = most,
                                                   .tx_packets = most,
                                                   .tx_bytes = most,
                                                   .duration = Seconds::max()},
                                                  clock.now());
  CHECK(text_of(message<CallDisconnectNotify>(actions[0])->call_statistics).size() <= 128);
}

TEST_CASE("connection: speeds, windows, bearer and framing are never a reason to refuse",
          "[pptp][conformance-19][conformance-20]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  const OutgoingCallRequest strange{.call_id = 7,
                                    .minimum_bps = 0xffffffff,
                                    .maximum_bps = 300,
                                    .bearer_type = 0xffffffff,
                                    .framing_type = 0,
                                    .packet_recv_window_size = 0,
                                    .phone_number_length = 65535};
  const auto offered = connection.on_message(strange, clock.now());
  const auto* offer = only<model::OfferCall>(offered);
  REQUIRE(offer != nullptr);
  CHECK(offer->peer_window == 0);
  const auto accepted = connection.our_calls().accept(offer->offer, OurCallId(1), clock.now());
  CHECK(only_message<OutgoingCallReply>(accepted)->connect_speed == 300);
}

TEST_CASE("connection: more calls than a connection may have are refused with No-Resource",
          "[pptp][rfc2637-2.16]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.maximum_calls = 2;
  auto connection = established_connection(clock, settings);
  REQUIRE(open_call(connection, clock, 1, OurCallId(1)));
  REQUIRE(open_call(connection, clock, 2, OurCallId(2)));
  const auto refused = connection.on_message(OutgoingCallRequest{.call_id = 3}, clock.now());
  const auto* reply = refusal(refused, EndReason::too_many_calls);
  REQUIRE(reply != nullptr);
  CHECK(reply->result_code == 2);
  CHECK(reply->error_code == 4);
  CHECK(pns::test::refused(refused) == EndReason::too_many_calls);
}

TEST_CASE("connection: an offer can be refused, late, in any order", "[pptp]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  const auto first = connection.on_message(OutgoingCallRequest{.call_id = 1}, clock.now());
  const auto second = connection.on_message(OutgoingCallRequest{.call_id = 2}, clock.now());
  const auto accepted = connection.our_calls().accept(only<model::OfferCall>(second)->offer,
                                                      OurCallId(20), clock.now());
  CHECK(only_message<OutgoingCallReply>(accepted)->peers_call_id == 2);
  const auto refused = connection.our_calls().refuse(only<model::OfferCall>(first)->offer,
                                                     EndReason::no_session_slot, clock.now());
  const auto* reply = refusal(refused, EndReason::no_session_slot);
  REQUIRE(reply != nullptr);
  CHECK(reply->peers_call_id == 1);
  CHECK(reply->result_code == 2);
  CHECK(reply->error_code == 4);
  CHECK(pns::test::refused(refused) == EndReason::no_session_slot);
  CHECK(connection.calls().size() == 1);
}

TEST_CASE("connection: an answer to an offer that is gone leaks nothing",
          "[pptp][conformance-23]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  const auto offered = connection.on_message(OutgoingCallRequest{.call_id = 1}, clock.now());
  const std::uint32_t offer = only<model::OfferCall>(offered)->offer;
  SECTION("withdrawn by a clear") {
    const auto cleared = connection.on_message(CallClearRequest{1}, clock.now());
    REQUIRE(cleared.size() == 2);
    CHECK(message<CallDisconnectNotify>(cleared[0])->result_code == 4);
    CHECK(std::get<model::WithdrawOffer>(cleared[1]).offer == offer);
  }
  SECTION("withdrawn by the end of TCP") {
    const auto closed = connection.on_tcp_closed(EndReason::peer_reset_tcp, clock.now());
    REQUIRE(only<model::WithdrawOffer>(closed) != nullptr);
  }
  SECTION("withdrawn because nobody answered") {
    clock.advance(ConnectionSettings{}.answer_timeout);
    const auto late = connection.on_deadline(clock.now());
    REQUIRE(late.size() == 3);
    CHECK(std::get<model::WithdrawOffer>(late[0]).offer == offer);
    REQUIRE(refusal(late, EndReason::dataplane_unavailable) != nullptr);
    CHECK(refusal(late, EndReason::dataplane_unavailable)->result_code == 2);
  }
  const auto accepted = connection.our_calls().accept(offer, OurCallId(9), clock.now());
  CHECK(ended(accepted, OurCallId(9)) == EndReason::peer_cleared_call);
  CHECK(connection.our_calls().refuse(offer, EndReason::no_call_id, clock.now()).empty());
}

TEST_CASE("connection: a flood of messages closes it and ends its calls",
          "[pptp][conformance-17]") {
  FakeClock clock;
  ConnectionSettings settings;
  auto connection = established_connection(clock, settings);
  REQUIRE(open_call(connection, clock, 1, OurCallId(1)));
  std::size_t answered = 0;
  bool closed = false;
  for (std::uint32_t i = 0; i < 20'000 && !closed; ++i) {
    const auto actions = connection.on_message(EchoRequest{i}, clock.now());
    if (only_message<EchoReply>(actions) != nullptr) ++answered;
    if (closes_with(actions) == EndReason::message_flood) {
      CHECK(ended(actions, OurCallId(1)) == EndReason::message_flood);
      closed = true;
    }
  }
  CHECK(closed);
  CHECK(answered <= settings.message_burst);
  CHECK(answered >= settings.message_burst - 3);
  CHECK(connection.on_message(EchoRequest{1}, clock.now()).empty());
}

TEST_CASE("connection: messages at the permitted rate go on for ever", "[pptp]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.message_burst = 10;
  settings.messages_per_second = 5;
  auto connection = established_connection(clock, settings);
  for (std::uint32_t i = 0; i < 1000; ++i) {
    clock.advance(Milliseconds(200));
    REQUIRE(only_message<EchoReply>(connection.on_message(EchoRequest{i}, clock.now())) != nullptr);
  }
  clock.advance(Seconds(1'000'000'000));  // a long silence does not overflow the bucket
  for (std::uint32_t i = 0; i < 10; ++i)
    CHECK(closes_with(connection.on_message(EchoRequest{i}, clock.now())) == std::nullopt);
  CHECK(closes_with(connection.on_message(EchoRequest{99}, clock.now())) ==
        EndReason::message_flood);
}

TEST_CASE("connection: it goes on after a restart where it was", "[pptp]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  REQUIRE(open_call(connection, clock, 8, OurCallId(101)));
  clock.advance(Seconds(60));
  const auto echo = connection.on_deadline(clock.now());
  REQUIRE(message<EchoRequest>(echo.back()) != nullptr);
  const auto identifier = message<EchoRequest>(echo.back())->identifier;
  (void)connection.on_message(OutgoingCallRequest{.call_id = 9}, clock.now());  // not answered
  const auto snapshot = connection.snapshot();
  REQUIRE(snapshot.has_value());
  REQUIRE(snapshot->calls.size() == 3);
  CHECK(snapshot->calls[1].our_call_id == OurCallId(101));
  CHECK(snapshot->calls[2].is_offer());
  CHECK(snapshot->peer_host_name == "client");

  ControlConnection again(ConnectionSettings{}, *snapshot, clock.now());
  CHECK(again.state() == State::kEstablished);
  CHECK(again.snapshot() == snapshot);
  CHECK(again.peer_vendor_name() == "vendor");
  clock.advance(Seconds(60));
  const auto next = again.on_deadline(clock.now());
  REQUIRE(message<EchoRequest>(next.back()) != nullptr);  // after the offer that timed out
  CHECK(message<EchoRequest>(next.back())->identifier != identifier);
  const auto cleared = again.on_message(CallClearRequest{8}, clock.now());
  CHECK(ended(cleared, OurCallId(101)) == EndReason::peer_cleared_call);
  CHECK(message<CallDisconnectNotify>(cleared[0])->call_id == 101);
}

TEST_CASE("connection: nothing is remembered of one that is not established", "[pptp]") {
  FakeClock clock;
  ControlConnection connection(ConnectionSettings{}, clock.now());
  CHECK_FALSE(connection.snapshot().has_value());
}

TEST_CASE("connection: stopping says goodbye and waits, but not for ever", "[pptp][rfc2637-2.3]") {
  FakeClock clock;
  ConnectionSettings settings;
  auto connection = established_connection(clock, settings);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const auto actions = connection.stop(EndReason::shutting_down, clock.now());
  REQUIRE(actions.size() == 3);
  CHECK(message<CallDisconnectNotify>(actions[0])->call_id == 100);
  CHECK(std::get<model::EndCall>(actions[1]).our_call_id == OurCallId(100));
  CHECK(message<StopControlConnectionRequest>(actions[2])->reason == 3);
  CHECK(connection.stop(EndReason::shutting_down, clock.now()).empty());

  SECTION("the peer replies") {
    const auto last = connection.on_message(StopControlConnectionReply{1, 0}, clock.now());
    CHECK(closes_with(last) == EndReason::shutting_down);
  }
  SECTION("the peer stops at the same time") {
    const auto last = connection.on_message(StopControlConnectionRequest{1}, clock.now());
    CHECK(message<StopControlConnectionReply>(last[0]) != nullptr);
    CHECK(closes_with(last) == EndReason::shutting_down);
  }
  SECTION("the peer is silent") {
    CHECK(connection.on_message(EchoRequest{1}, clock.now()).empty());
    CHECK(connection.on_message(OutgoingCallRequest{.call_id = 1}, clock.now()).empty());
    REQUIRE(connection.deadline() == clock.now() + settings.stop_timeout);
    clock.advance(settings.stop_timeout);
    CHECK(closes_with(connection.on_deadline(clock.now())) == EndReason::shutting_down);
  }
  CHECK(connection.state() == State::kClosed);
  CHECK_FALSE(connection.deadline().has_value());
}

TEST_CASE("connection: stopping before the start just closes", "[pptp]") {
  FakeClock clock;
  ControlConnection connection(ConnectionSettings{}, clock.now());
  const auto actions = connection.stop(EndReason::shutting_down, clock.now());
  CHECK(actions.size() == 1);
  CHECK(closes_with(actions) == EndReason::shutting_down);
}

TEST_CASE("connection: a closed one does nothing whatever happens", "[pptp]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const auto closed = connection.on_tcp_closed(EndReason::peer_closed_tcp, clock.now());
  CHECK(closed.size() == 1);
  CHECK(ended(closed, OurCallId(100)) == EndReason::peer_closed_tcp);
  clock.advance(Seconds(1000));
  CHECK(connection.on_message(EchoRequest{1}, clock.now()).empty());
  CHECK(connection.on_frame_error(FrameError::kBadLength, clock.now()).empty());
  CHECK(connection.on_tcp_closed(EndReason::peer_reset_tcp, clock.now()).empty());
  CHECK(connection.on_deadline(clock.now()).empty());
  CHECK(connection.stop(EndReason::shutting_down, clock.now()).empty());
  CHECK(
      connection.our_calls().end(OurCallId(100), EndReason::idle_timeout, {}, clock.now()).empty());
}

TEST_CASE("connection: what changed is told once, each call as it is now", "[pptp][resume]") {
  FakeClock clock;
  ControlConnection connection(ConnectionSettings{}, clock.now());
  CHECK(connection.take_changes().empty());
  (void)connection.on_message(StartControlConnectionRequest{}, clock.now());
  auto changes = connection.take_changes();
  CHECK(changes.established);
  CHECK(changes.calls.empty());
  CHECK(connection.take_changes().empty());

  // An offer, then the same call accepted.
  (void)connection.on_message(
      OutgoingCallRequest{.call_id = 7, .maximum_bps = 1000, .packet_recv_window_size = 3},
      clock.now());
  changes = connection.take_changes();
  CHECK_FALSE(changes.established);
  REQUIRE(changes.calls.size() == 1);
  const std::uint32_t number = changes.calls[0].number;
  REQUIRE(changes.calls[0].now);
  CHECK(changes.calls[0].now->is_offer());
  CHECK(changes.calls[0].now->peer_call_id == PeerCallId(7));
  CHECK(changes.calls[0].now->peer_window == 3);
  CHECK(changes.calls[0].now->maximum_bps == 1000);
  CHECK(connection.our_calls().awaits_answer(number));
  (void)connection.our_calls().accept(number, OurCallId(100), clock.now());
  CHECK_FALSE(connection.our_calls().awaits_answer(number));
  changes = connection.take_changes();
  REQUIRE(changes.calls.size() == 1);
  CHECK(changes.calls[0].number == number);
  CHECK(changes.calls[0].now == connection.snapshot()->calls.at(0));
  CHECK(changes.calls[0].now->state == CallState::kEstablished);

  SECTION("an echo changes nothing") {
    (void)connection.on_message(EchoRequest{1}, clock.now());
    clock.advance(Seconds(60));
    REQUIRE_FALSE(connection.on_deadline(clock.now()).empty());
    CHECK(connection.take_changes().empty());
  }
  SECTION("nor does a message that is ignored, or a call that came and went") {
    (void)connection.on_message(OutgoingCallReply{.call_id = 1, .peers_call_id = 2}, clock.now());
    (void)connection.on_message(OutgoingCallRequest{.call_id = 8}, clock.now());
    (void)connection.on_message(CallClearRequest{8}, clock.now());
    CHECK(connection.take_changes().empty());
  }
  SECTION("the end of a call") {
    (void)connection.on_message(CallClearRequest{7}, clock.now());
    changes = connection.take_changes();
    REQUIRE(changes.calls.size() == 1);
    CHECK(changes.calls[0].number == number);
    CHECK_FALSE(changes.calls[0].now);
  }
  SECTION("a call that we place: its request, the Reply, the Clear, and its end") {
    const auto only_state = [&]() -> std::optional<CallState> {
      const auto of_placed = connection.take_changes();
      REQUIRE(of_placed.calls.size() == 1);
      CHECK(of_placed.calls[0].number != number);
      return of_placed.calls[0].now ? std::optional(of_placed.calls[0].now->state) : std::nullopt;
    };
    (void)connection.place_call(OurCallId(101), {}, clock.now());
    CHECK(only_state() == CallState::kWaitReply);
    (void)connection.on_message(
        OutgoingCallReply{.call_id = 9, .peers_call_id = 101, .result_code = 1}, clock.now());
    CHECK(only_state() == CallState::kEstablished);
    (void)connection.our_calls().end(OurCallId(101), EndReason::operator_cleared, {}, clock.now());
    CHECK(only_state() == CallState::kWaitDisconnect);
    (void)connection.on_message(CallDisconnectNotify{.call_id = 9}, clock.now());
    CHECK(only_state() == std::nullopt);
  }
  SECTION("one that is being stopped stays as it was") {
    (void)connection.stop(EndReason::shutting_down, clock.now());
    CHECK(connection.take_changes().empty());
  }
  SECTION("a successor has nothing to tell, and goes on with the same numbers") {
    ControlConnection again(ConnectionSettings{}, connection.snapshot().value(), clock.now());
    CHECK(again.take_changes().empty());
    (void)again.on_message(OutgoingCallRequest{.call_id = 8}, clock.now());
    changes = again.take_changes();
    REQUIRE(changes.calls.size() == 1);
    CHECK(changes.calls[0].number > number);
    (void)again.on_message(CallClearRequest{7}, clock.now());
    changes = again.take_changes();
    REQUIRE(changes.calls.size() == 1);
    CHECK(changes.calls[0].number == number);
    CHECK_FALSE(changes.calls[0].now);
  }
}

// A snapshot that is kept up to date by the changes alone.
TEST_CASE("connection: the changes make of an old snapshot the new one", "[pptp][resume]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.message_burst = 100'000;
  auto connection = established_connection(clock, settings);
  (void)connection.take_changes();
  std::map<std::uint32_t, KnownCall> stored;
  std::uint32_t random = 1;
  const auto draw = [&](std::uint32_t below) {
    random = random * 1'664'525 + 1'013'904'223;
    return (random >> 8) % below;
  };
  for (int step = 0; step < 5000; ++step) {
    const auto id = static_cast<std::uint16_t>(draw(40));
    const auto& calls = connection.calls();
    const Call* any =
        calls.empty() ? nullptr : &calls[draw(static_cast<std::uint32_t>(calls.size()))];
    switch (draw(8)) {
      case 0:
        (void)connection.on_message(OutgoingCallRequest{.call_id = id}, clock.now());
        break;
      case 1:
        (void)connection.on_message(IncomingCallRequest{.call_id = id}, clock.now());
        break;
      case 2:
        (void)connection.place_call(OurCallId(static_cast<std::uint16_t>(10'000 + step)), {},
                                    clock.now());
        break;
      case 3:
        if (any != nullptr && connection.our_calls().awaits_answer(any->number))
          (void)connection.our_calls().accept(
              any->number, OurCallId(static_cast<std::uint16_t>(10'000 + step)), clock.now());
        break;
      case 4:
        if (any != nullptr && any->our_call_id)
          (void)connection.on_message(
              OutgoingCallReply{.call_id = static_cast<std::uint16_t>(100 + step),
                                .peers_call_id = any->our_call_id->value,
                                .result_code = 1},
              clock.now());
        break;
      case 5:
        (void)connection.on_message(CallClearRequest{id}, clock.now());
        break;
      case 6:
        if (any != nullptr && any->our_call_id)
          (void)connection.our_calls().end(*any->our_call_id, EndReason::idle_timeout, {},
                                           clock.now());
        break;
      default:
        (void)connection.on_message(CallDisconnectNotify{.call_id = id}, clock.now());
    }
    if (draw(3) != 0) continue;
    for (const auto& change : connection.take_changes().calls) {
      if (change.now)
        stored[change.number] = *change.now;
      else
        CHECK(stored.erase(change.number) == 1);
    }
    std::vector<KnownCall> now;
    for (const auto& [number, call] : stored) now.push_back(call);
    REQUIRE(connection.snapshot().value().calls == now);
  }
  CHECK(connection.state() == State::kEstablished);
}

TEST_CASE("connection: a call costs the same among a thousand as alone", "[pptp][scale]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.message_burst = 1'000'000;
  // Visited from the request of one call to its end, with its changes, while others are up.
  const auto visited = [&](std::uint16_t others) {
    auto connection = established_connection(clock, settings);
    for (std::uint16_t i = 0; i < others; ++i)
      REQUIRE(open_call(connection, clock, static_cast<std::uint16_t>(1000 + i),
                        OurCallId(static_cast<std::uint16_t>(20'000 + i))));
    REQUIRE(connection.place_call(OurCallId(50'000), {}, clock.now()).size() == 1);
    REQUIRE(connection.place_call(OurCallId(50'001), {}, clock.now()).size() == 1);
    (void)connection.take_changes();
    const auto before = connection.counters().calls_visited;
    // A subscriber's call with everything that may be said of it.
    REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
    REQUIRE(connection.take_changes().calls.size() == 1);
    (void)connection.on_message(SetLinkInfo{.peers_call_id = 100}, clock.now());
    (void)connection.on_message(WanErrorNotify{.peers_call_id = 100}, clock.now());
    (void)connection.deadline();
    (void)connection.on_deadline(clock.now());
    (void)connection.on_message(CallClearRequest{9}, clock.now());  // of nobody
    (void)connection.on_message(CallDisconnectNotify{.call_id = 9}, clock.now());
    REQUIRE(ended(connection.on_message(CallClearRequest{7}, clock.now()), OurCallId(100)));
    // A call of ours: refused, and cleared before its Reply.
    (void)connection.on_message(OutgoingCallReply{.peers_call_id = 50'000, .result_code = 2},
                                clock.now());
    (void)connection.our_calls().end(OurCallId(50'001), EndReason::idle_timeout, {}, clock.now());
    (void)connection.on_message(CallDisconnectNotify{.call_id = 8}, clock.now());
    REQUIRE(connection.take_changes().calls.size() == 3);
    CHECK(connection.calls().size() == others);
    return connection.counters().calls_visited - before;
  };
  const auto alone = visited(2);
  CHECK(alone > 10);  // it counts
  CHECK(visited(1000) == alone);
}

TEST_CASE("connection: many connections share their settings", "[pptp][memory]") {
  // There may be 20,000 of them. The settings are another 160 octets, and their names.
  CHECK(sizeof(ControlConnection) <= 352);
  FakeClock clock;
  const SharedSettings settings(ConnectionSettings{.host_name = "shared", .maximum_channels = 7});
  for (int i = 0; i < 2; ++i) {
    auto connection = ControlConnection::originate(settings, clock.now());
    const auto opened = connection.open(clock.now());
    const auto* request = only_message<StartControlConnectionRequest>(opened);
    REQUIRE(request != nullptr);
    CHECK(wire::pptp::text_of(request->host_name) == "shared");
    CHECK(request->maximum_channels == 7);
  }
}

TEST_CASE("connection: echoes of 20,000 connections that were taken over at once are spread",
          "[pptp][rfc2637-3.1.4]") {
  constexpr std::size_t kConnections = 20'000;
  const bool spread = GENERATE(false, true);
  FakeClock clock;
  FakeRandom random;
  const TimePoint begin = clock.now();
  const SharedSettings settings;
  const auto snapshot = established_connection(clock).snapshot().value();
  std::map<std::int64_t, std::size_t> in_second;
  Duration shortest = Seconds(1000);
  Duration longest{};
  for (std::size_t i = 0; i < kConnections; ++i) {
    ControlConnection connection(settings, snapshot, begin);
    if (spread) connection.spread_echoes(random.next_u32());
    TimePoint last = begin;
    for (int echoes = 0; echoes < 4; ++echoes) {  // each answered at once
      const TimePoint at = connection.deadline().value();
      REQUIRE(connection.on_deadline(at - std::chrono::nanoseconds(1)).empty());
      const auto echo = connection.on_deadline(at);
      REQUIRE(only_message<EchoRequest>(echo) != nullptr);
      shortest = std::min(shortest, at - last);
      longest = std::max(longest, at - last);
      ++in_second[std::chrono::duration_cast<Seconds>(at - begin).count()];
      REQUIRE(connection.on_message(EchoReply{1}, at).empty());
      last = at;
    }
  }
  std::size_t most = 0;
  for (const auto& [second, echoes] : in_second) most = std::max(most, echoes);
  CHECK(longest <= Seconds(60));
  if (spread) {
    CHECK(shortest >= Seconds(45));
    CHECK(most < kConnections / 12);  // the first round takes 15 s
  } else {
    CHECK(shortest == Seconds(60));
    CHECK(most == kConnections);
  }
}
