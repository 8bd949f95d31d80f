// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 2637 §2, §3: the control connection and its calls. Each case names the section and says the
// rule in our words. The wire form is in tests/unit/wire/pptp_test.cpp, the octet stream in
// tests/unit/pptp/stream_framer_test.cpp.
#include <catch2/catch.hpp>

#include "controlplane/pptp/control_connection.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/pptp_actions.hpp"

using namespace pns;
using namespace pns::pptp;
using namespace pns::test;
using namespace pns::wire::pptp;

TEST_CASE("rfc2637 §2.1/2.2: a start is answered with version 1.0, result 1 and who we are",
          "[rfc2637-2.2]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.host_name = "pns1";
  settings.vendor_name = "pns vendor";
  settings.firmware_revision = 42;
  ControlConnection connection(settings, clock.now());
  const auto actions = connection.on_message(StartControlConnectionRequest{}, clock.now());
  const auto* reply = only_message<StartControlConnectionReply>(actions);
  REQUIRE(reply != nullptr);
  CHECK(reply->protocol_version == 0x0100);
  CHECK(reply->result_code == 1);
  CHECK(reply->error_code == 0);
  CHECK((reply->framing_capabilities & ~3u) == 0);
  CHECK((reply->bearer_capabilities & ~3u) == 0);
  CHECK(reply->firmware_revision == 42);
  CHECK(text_of(reply->host_name) == "pns1");
  CHECK(text_of(reply->vendor_name) == "pns vendor");
  CHECK(connection.state() == ControlConnection::State::kEstablished);
}

TEST_CASE("rfc2637 §3.1.2: a higher version is told ours and goes on", "[rfc2637-3.1.2]") {
  FakeClock clock;
  ControlConnection connection(ConnectionSettings{}, clock.now());
  const auto actions =
      connection.on_message(StartControlConnectionRequest{.protocol_version = 0x0200}, clock.now());
  const auto* reply = only_message<StartControlConnectionReply>(actions);
  REQUIRE(reply != nullptr);
  CHECK(reply->protocol_version == 0x0100);
  CHECK(reply->result_code == 1);
}

TEST_CASE("rfc2637 §3.1.2: a version that is too low is refused and closed", "[rfc2637-3.1.2]") {
  for (const std::uint16_t version : std::initializer_list<std::uint16_t>{0, 1, 0x00ff}) {
    FakeClock clock;
    ControlConnection connection(ConnectionSettings{}, clock.now());
    const auto actions = connection.on_message(
        StartControlConnectionRequest{.protocol_version = version}, clock.now());
    REQUIRE(actions.size() == 2);
    CHECK(message<StartControlConnectionReply>(actions[0])->result_code == 5);
    CHECK(closes_with(actions) == EndReason::bad_protocol_version);
  }
}

TEST_CASE("rfc2637 §2.1: nothing else is spoken before the start", "[rfc2637-2.1][conformance-9]") {
  const std::vector<Message> others = {StartControlConnectionReply{},
                                       StopControlConnectionRequest{1},
                                       StopControlConnectionReply{1},
                                       EchoRequest{},
                                       EchoReply{},
                                       OutgoingCallRequest{},
                                       OutgoingCallReply{},
                                       IncomingCallRequest{},
                                       IncomingCallReply{},
                                       IncomingCallConnected{},
                                       CallClearRequest{},
                                       CallDisconnectNotify{},
                                       WanErrorNotify{},
                                       SetLinkInfo{}};
  for (const Message& other : others) {
    INFO(name_of(type_of(other)));
    FakeClock clock;
    ControlConnection connection(ConnectionSettings{}, clock.now());
    const auto actions = connection.on_message(other, clock.now());
    CHECK(actions.size() == 1);
    CHECK(closes_with(actions) == EndReason::message_out_of_order);
  }
}

TEST_CASE("rfc2637 §2.2: a second start gets result 3, never a second success", "[rfc2637-2.2]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const auto actions = connection.on_message(StartControlConnectionRequest{}, clock.now());
  CHECK(message<StartControlConnectionReply>(actions[0])->result_code == 3);
  CHECK(ended(actions, OurCallId(100)) == EndReason::start_repeated);
  CHECK(closes_with(actions) == EndReason::start_repeated);
}

TEST_CASE("rfc2637 §2.3/2.4: a stop is answered, every call ends, then TCP closes",
          "[rfc2637-2.4]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  REQUIRE(open_call(connection, clock, 8, OurCallId(101)));
  const auto actions = connection.on_message(StopControlConnectionRequest{1}, clock.now());
  REQUIRE(actions.size() == 4);
  CHECK(message<StopControlConnectionReply>(actions[0])->result_code == 1);
  CHECK(ended(actions, OurCallId(100)) == EndReason::peer_stopped_connection);
  CHECK(ended(actions, OurCallId(101)) == EndReason::peer_stopped_connection);
  CHECK(closes_with(actions) == EndReason::peer_stopped_connection);
}

TEST_CASE("rfc2637 §2.6: an echo is answered with its identifier and result 1", "[rfc2637-2.6]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  const auto actions = connection.on_message(EchoRequest{0xfeedface}, clock.now());
  const auto* reply = only_message<EchoReply>(actions);
  REQUIRE(reply != nullptr);
  CHECK(reply->identifier == 0xfeedface);
  CHECK(reply->result_code == 1);
  CHECK(reply->error_code == 0);
}

TEST_CASE("rfc2637 §3.1.4: not established after 60 s is closed",
          "[rfc2637-3.1.4][conformance-14]") {
  FakeClock clock;
  ControlConnection connection(ConnectionSettings{}, clock.now());
  REQUIRE(connection.deadline() == clock.now() + Seconds(60));
  clock.advance(Seconds(60) - Duration(1));
  CHECK(connection.on_deadline(clock.now()).empty());
  clock.advance(Duration(1));
  CHECK(closes_with(connection.on_deadline(clock.now())) == EndReason::connection_setup_timeout);
}

TEST_CASE("rfc2637 §3.1.4: 60 s of silence bring an echo, 60 more close",
          "[rfc2637-3.1.4][conformance-15]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  REQUIRE(connection.deadline() == clock.now() + Seconds(60));
  clock.advance(Seconds(60));
  const auto echo = connection.on_deadline(clock.now());
  REQUIRE(only_message<EchoRequest>(echo) != nullptr);
  const std::uint32_t identifier = only_message<EchoRequest>(echo)->identifier;
  REQUIRE(connection.deadline() == clock.now() + Seconds(60));

  SECTION("the peer answers and is asked again after another silence") {
    clock.advance(Seconds(10));
    CHECK(connection.on_message(EchoReply{identifier, 1, 0}, clock.now()).empty());
    REQUIRE(connection.deadline() == clock.now() + Seconds(60));
    clock.advance(Seconds(60));
    CHECK(only_message<EchoRequest>(connection.on_deadline(clock.now()))->identifier != identifier);
  }
  SECTION("any control message is a sign of life") {
    CHECK(connection.on_message(SetLinkInfo{}, clock.now()).empty());
    REQUIRE(connection.deadline() == clock.now() + Seconds(60));
    clock.advance(Seconds(60));
    CHECK(only_message<EchoRequest>(connection.on_deadline(clock.now())) != nullptr);
  }
  SECTION("the peer is gone") {
    clock.advance(Seconds(60));
    const auto actions = connection.on_deadline(clock.now());
    CHECK(ended(actions, OurCallId(100)) == EndReason::connection_echo_timeout);
    CHECK(closes_with(actions) == EndReason::connection_echo_timeout);
  }
}

TEST_CASE("rfc2637 §3: a malformed message ends every call and closes", "[rfc2637-3]") {
  const std::pair<FrameError, EndReason> rows[] = {
      {FrameError::kBadLength, EndReason::bad_length},
      {FrameError::kBadMagicCookie, EndReason::bad_magic_cookie},
      {FrameError::kBadMessageType, EndReason::bad_message_type},
      {FrameError::kUnknownControlType, EndReason::unknown_control_type}};
  for (const auto& [error, reason] : rows) {
    FakeClock clock;
    auto connection = established_connection(clock);
    REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
    const auto actions = connection.on_frame_error(error, clock.now());
    CHECK(ended(actions, OurCallId(100)) == reason);
    CHECK(closes_with(actions) == reason);
  }
}

TEST_CASE("rfc2637 §2.8: a call is answered with both ids, our window and no more than Maximum BPS",
          "[rfc2637-2.8][rfc2637-3.2.4.1]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.receive_window = 33;
  auto connection = established_connection(clock, settings);
  const auto offered = connection.on_message(OutgoingCallRequest{.call_id = 0x8000,
                                                                 .call_serial_number = 5,
                                                                 .minimum_bps = 300,
                                                                 .maximum_bps = 56000,
                                                                 .packet_recv_window_size = 3},
                                             clock.now());
  const auto* offer = only<model::OfferCall>(offered);
  REQUIRE(offer != nullptr);
  CHECK(offer->peer_call_id == PeerCallId(0x8000));
  CHECK(offer->serial_number == 5);
  CHECK(offer->peer_window == 3);
  CHECK(offer->maximum_bps == 56000);
  const auto accepted = connection.on_call_accepted(offer->offer, OurCallId(0x1234), clock.now());
  const auto* reply = only_message<OutgoingCallReply>(accepted);
  REQUIRE(reply != nullptr);
  CHECK(reply->call_id == 0x1234);
  CHECK(reply->peers_call_id == 0x8000);
  CHECK(reply->result_code == 1);
  CHECK(reply->error_code == 0);
  CHECK(reply->connect_speed == 56000);
  CHECK(reply->packet_recv_window_size == 33);
}

TEST_CASE("rfc2637 §3.2.4.1: a clear is answered by a notify with result 4; the connection stays",
          "[rfc2637-3.2.4.1][rfc2637-2.13]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  REQUIRE(open_call(connection, clock, 8, OurCallId(101)));
  const auto actions = connection.on_message(CallClearRequest{8}, clock.now());
  REQUIRE(actions.size() == 2);
  const auto* notify = message<CallDisconnectNotify>(actions[0]);
  REQUIRE(notify != nullptr);
  CHECK(notify->call_id == 101);
  CHECK(notify->result_code == 4);
  CHECK(notify->cause_code == 0);
  CHECK(text_of(notify->call_statistics).empty());
  CHECK(ended(actions, OurCallId(101)) == EndReason::peer_cleared_call);
  CHECK(connection.calls().size() == 1);
  CHECK(connection.state() == ControlConnection::State::kEstablished);
  CHECK(open_call(connection, clock, 8, OurCallId(102)));
}

TEST_CASE("rfc2637 §2.13: a notify from the peer frees the call without an answer",
          "[rfc2637-2.13]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  REQUIRE(open_call(connection, clock, 8, OurCallId(101)));
  const auto by_ours = connection.on_message(CallDisconnectNotify{.call_id = 101}, clock.now());
  CHECK(by_ours.size() == 1);
  CHECK(ended(by_ours, OurCallId(101)) == EndReason::peer_call_disconnected);
  const auto by_theirs = connection.on_message(CallDisconnectNotify{.call_id = 7}, clock.now());
  CHECK(ended(by_theirs, OurCallId(100)) == EndReason::peer_call_disconnected);
  CHECK(connection.on_message(CallDisconnectNotify{.call_id = 7}, clock.now()).empty());
}

TEST_CASE("rfc2637 §2.9/2.10: an incoming call is answered do not accept", "[rfc2637-2.10]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  const auto actions = connection.on_message(
      IncomingCallRequest{.call_id = 77, .dialed_number_length = 65535}, clock.now());
  const auto* reply = only_message<IncomingCallReply>(actions);
  REQUIRE(reply != nullptr);
  CHECK(reply->peers_call_id == 77);
  CHECK(reply->result_code == 3);
  CHECK(connection.calls().empty());
}

TEST_CASE("rfc2637 §2.14/2.15: error notifies are counted, link infos taken, neither answered",
          "[rfc2637-2.14][conformance-21]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  CHECK(connection.on_message(WanErrorNotify{.peers_call_id = 100}, clock.now()).empty());
  CHECK(connection.on_message(WanErrorNotify{.peers_call_id = 9}, clock.now()).empty());
  CHECK(connection.on_message(SetLinkInfo{.peers_call_id = 100}, clock.now()).empty());
  CHECK(connection.counters().wan_error_notifies == 2);
  CHECK(connection.counters().set_link_infos == 1);
  CHECK(connection.calls().size() == 1);
}

TEST_CASE("rfc2637: replies that nobody asked for are ignored", "[rfc2637-3][conformance-8]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const std::vector<Message> unasked = {StartControlConnectionReply{.result_code = 1},
                                        StopControlConnectionReply{.result_code = 1},
                                        OutgoingCallReply{.call_id = 7, .result_code = 1},
                                        IncomingCallReply{.call_id = 7, .result_code = 1},
                                        IncomingCallConnected{.peers_call_id = 100}};
  for (const Message& m : unasked) {
    INFO(name_of(type_of(m)));
    CHECK(connection.on_message(m, clock.now()).empty());
  }
  CHECK(connection.on_message(EchoReply{12345, 1, 0}, clock.now()).empty());
  CHECK(connection.counters().messages_ignored == unasked.size());
  CHECK(connection.calls().size() == 1);
}
