// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 2637 §2, §3: the control connection and its calls. Each case names the section and says the
// rule in our words. The wire form is in tests/unit/wire/pptp_test.cpp, the octet stream in
// tests/unit/pptp/stream_framer_test.cpp.
#include <catch2/catch.hpp>

#include "controlplane/pptp/codes.hpp"
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
  const auto accepted = connection.our_calls().accept(offer->offer, OurCallId(0x1234), clock.now());
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

TEST_CASE("rfc2637 §2.10: an incoming call that is not wanted is answered do not accept",
          "[rfc2637-2.10]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.accept_incoming_calls = false;
  auto connection = established_connection(clock, settings);
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

// ---- The other roles

namespace {

ControlConnection originated_connection(FakeClock& clock, const ConnectionSettings& settings = {}) {
  auto connection = ControlConnection::originate(settings, clock.now());
  (void)connection.open(clock.now());
  (void)connection.on_message(StartControlConnectionReply{.result_code = 1}, clock.now());
  return connection;
}

// An Incoming-Call-Request that our side took under Call ID 100.
ControlConnection announced_to_us(FakeClock& clock, std::uint16_t peer_call_id,
                                  const ConnectionSettings& settings = {}) {
  auto connection = established_connection(clock, settings);
  const auto offered =
      connection.on_message(IncomingCallRequest{.call_id = peer_call_id}, clock.now());
  REQUIRE(only<model::OfferCall>(offered) != nullptr);
  (void)connection.our_calls().accept(only<model::OfferCall>(offered)->offer, OurCallId(100),
                                      clock.now());
  return connection;
}

}  // namespace

TEST_CASE("rfc2637 §3.1.1: an originator starts, and is established by a good Reply",
          "[rfc2637-3.1.1]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.host_name = "pns1";
  auto connection = ControlConnection::originate(settings, clock.now());
  const auto opened = connection.open(clock.now());
  const auto* request = only_message<StartControlConnectionRequest>(opened);
  REQUIRE(request != nullptr);
  CHECK(request->protocol_version == 0x0100);
  CHECK(text_of(request->host_name) == "pns1");
  CHECK(connection.state() == ConnectionState::kWaitCtlReply);
  CHECK(connection.open(clock.now()).empty());                             // once
  const std::uint8_t result = GENERATE(std::uint8_t{1}, std::uint8_t{0});  // some PACs send 0
  CHECK(connection
            .on_message(StartControlConnectionReply{.result_code = result,
                                                    .host_name = to_text<64>("a pac")},
                        clock.now())
            .empty());
  CHECK(connection.state() == ConnectionState::kEstablished);
  CHECK(connection.peer_host_name() == "a pac");
  CHECK(connection.originated());
}

TEST_CASE("rfc2637 §3.1.1: a Reply that refuses, or in another version, is stopped",
          "[rfc2637-3.1.1]") {
  FakeClock clock;
  auto connection = ControlConnection::originate({}, clock.now());
  (void)connection.open(clock.now());
  EndReason reason{};
  StartControlConnectionReply reply;
  SECTION("not authorised") {
    reply.result_code = 4;
    reason = EndReason::start_refused;
  }
  SECTION("version 2.0") {
    reply.result_code = 1;
    reply.protocol_version = 0x0200;
    reason = EndReason::bad_protocol_version;
  }
  const auto stopped = connection.on_message(reply, clock.now());
  const auto* stop = only_message<StopControlConnectionRequest>(stopped);
  REQUIRE(stop != nullptr);
  CHECK(stop->reason == (reason == EndReason::bad_protocol_version ? 2 : 1));
  CHECK(closes_with(connection.on_message(StopControlConnectionReply{1, 0}, clock.now())) ==
        reason);
}

TEST_CASE("rfc2637 §3.1.4: an originator without a Reply for 60 s closes", "[rfc2637-3.1.4]") {
  FakeClock clock;
  auto connection = ControlConnection::originate({}, clock.now());
  (void)connection.open(clock.now());
  REQUIRE(connection.deadline() == clock.now() + Seconds(60));
  clock.advance(Seconds(60));
  CHECK(closes_with(connection.on_deadline(clock.now())) == EndReason::connection_setup_timeout);
}

TEST_CASE("rfc2637 §3.1.3: who loses a collision closes without another word", "[rfc2637-3.1.3]") {
  FakeClock clock;
  auto ours = ControlConnection::originate({}, clock.now());
  (void)ours.open(clock.now());
  const auto given_way = ours.on_collision(clock.now());
  CHECK(given_way.size() == 1);
  CHECK(closes_with(given_way) == EndReason::collision_lost);
  // The winner says nothing on the loser's connection.
  ControlConnection theirs(ConnectionSettings{}, clock.now());
  CHECK(theirs.on_collision(clock.now()).empty());
  CHECK(theirs.state() == ConnectionState::kIdle);
}

TEST_CASE("rfc2637 §2.9-2.11: an incoming call is taken with our id and window, and connected",
          "[rfc2637-2.10][rfc2637-3.2.3.2]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.receive_window = 33;
  auto connection = established_connection(clock, settings);
  const auto offered = connection.on_message(
      IncomingCallRequest{.call_id = 77, .call_serial_number = 5, .dialed_number_length = 65535},
      clock.now());
  const auto* offer = only<model::OfferCall>(offered);
  REQUIRE(offer != nullptr);
  CHECK(offer->kind == model::CallKind::kIncoming);
  CHECK(offer->peer_call_id == PeerCallId(77));
  const auto accepted = connection.our_calls().accept(offer->offer, OurCallId(100), clock.now());
  const auto* reply = only_message<IncomingCallReply>(accepted);
  REQUIRE(reply != nullptr);
  CHECK(reply->call_id == 100);
  CHECK(reply->peers_call_id == 77);
  CHECK(reply->result_code == 1);
  CHECK(reply->error_code == 0);
  CHECK(reply->packet_recv_window_size == 33);
  const auto connected = connection.on_message(
      IncomingCallConnected{
          .peers_call_id = 100, .connect_speed = 64000, .packet_recv_window_size = 16},
      clock.now());
  const auto* connect = only<model::ConnectCall>(connected);
  REQUIRE(connect != nullptr);
  CHECK(connect->our_call_id == OurCallId(100));
  CHECK(connect->peer_call_id == PeerCallId(77));
  CHECK(connect->peer_window == 16);
  CHECK(connect->connect_speed == 64000);
}

TEST_CASE("rfc2637 §3.2.3.2: we end an incoming call with our id and wait for the notify",
          "[rfc2637-3.2.3.2][rfc2637-2.12]") {
  FakeClock clock;
  auto connection = announced_to_us(clock, 77);
  (void)connection.on_message(IncomingCallConnected{.peers_call_id = 100}, clock.now());
  const auto ended_by_us =
      connection.our_calls().end(OurCallId(100), EndReason::operator_cleared, {}, clock.now());
  REQUIRE(ended_by_us.size() == 2);
  REQUIRE(message<CallClearRequest>(ended_by_us[0]) != nullptr);
  CHECK(message<CallClearRequest>(ended_by_us[0])->call_id == 100);
  CHECK(ended(ended_by_us, OurCallId(100)) == EndReason::operator_cleared);
  REQUIRE(connection.calls().size() == 1);
  CHECK(connection.calls()[0].state == CallState::kWaitDisconnect);
  CHECK(connection.on_message(CallDisconnectNotify{.call_id = 77, .result_code = 4}, clock.now())
            .empty());
  CHECK(connection.calls().empty());
  CHECK(connection.state() == ConnectionState::kEstablished);
}

TEST_CASE(
    "rfc2637 §3.2.1: a call whose other side is silent is cleared after 60 s, then all closes",
    "[rfc2637-3.2.1]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.echo_interval = Seconds(3600);
  const bool placed = GENERATE(true, false);
  auto connection =
      placed ? originated_connection(clock, settings) : announced_to_us(clock, 77, settings);
  if (placed) (void)connection.place_call(OurCallId(100), {}, clock.now());
  REQUIRE(connection.deadline() == clock.now() + Seconds(60));
  clock.advance(Seconds(60));
  const auto cleared = connection.on_deadline(clock.now());
  REQUIRE(cleared.size() == 2);
  CHECK(message<CallClearRequest>(cleared[0]) != nullptr);
  CHECK(ended(cleared, OurCallId(100)) == EndReason::call_reply_timeout);
  clock.advance(Seconds(60));
  const auto stopped = connection.on_deadline(clock.now());
  CHECK(only_message<StopControlConnectionRequest>(stopped) != nullptr);
  clock.advance(settings.stop_timeout);
  CHECK(closes_with(connection.on_deadline(clock.now())) == EndReason::call_reply_timeout);
}

TEST_CASE("rfc2637 §2.7/2.8: a call that we place says what it is, and is up with its Reply",
          "[rfc2637-2.7][rfc2637-3.2.4.2]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.receive_window = 33;
  auto connection = originated_connection(clock, settings);
  const auto placed = connection.place_call(
      OurCallId(100), {.phone_number = "5551234", .subaddress = "9"}, clock.now());
  const auto* request = only_message<OutgoingCallRequest>(placed);
  REQUIRE(request != nullptr);
  CHECK(request->call_id == 100);
  CHECK(request->packet_recv_window_size == 33);
  CHECK(request->phone_number_length == 7);
  CHECK(text_of(request->phone_number) == "5551234");
  CHECK(text_of(request->subaddress) == "9");
  CHECK(request->minimum_bps <= request->maximum_bps);
  const std::uint8_t result = GENERATE(std::uint8_t{1}, std::uint8_t{0});
  const auto up = connection.on_message(OutgoingCallReply{.call_id = 0,  // as good as any
                                                          .peers_call_id = 100,
                                                          .result_code = result,
                                                          .packet_recv_window_size = 8},
                                        clock.now());
  const auto* connect = only<model::ConnectCall>(up);
  REQUIRE(connect != nullptr);
  CHECK(connect->peer_call_id == PeerCallId(0));
  CHECK(connect->peer_window == 8);
  const auto gone =
      connection.on_message(CallDisconnectNotify{.call_id = 0, .result_code = 1}, clock.now());
  CHECK(ended(gone, OurCallId(100)) == EndReason::peer_call_disconnected);
}

TEST_CASE("rfc2637 §2.8: a PAC's refusal comes with its result, error and cause",
          "[rfc2637-2.8][rfc2637-3.2.4.2]") {
  FakeClock clock;
  auto connection = originated_connection(clock);
  (void)connection.place_call(OurCallId(100), {}, clock.now());
  const auto refused = connection.on_message(
      OutgoingCallReply{.peers_call_id = 100, .result_code = 2, .error_code = 6, .cause_code = 17},
      clock.now());
  const auto* end = only<model::EndCall>(refused);
  REQUIRE(end != nullptr);
  CHECK(end->reason == EndReason::call_refused_by_peer);
  CHECK(end->codes == model::PeerCodes{2, 6, 17});
  CHECK(connection.calls().empty());
}

TEST_CASE(
    "rfc2637 §3.2.4.2: a placed call is cleared in any state, and the late Reply changes nothing",
    "[rfc2637-3.2.4.2]") {
  FakeClock clock;
  auto connection = originated_connection(clock);
  (void)connection.place_call(OurCallId(100), {}, clock.now());
  const auto cleared =
      connection.our_calls().end(OurCallId(100), EndReason::place_timeout, {}, clock.now());
  CHECK(message<CallClearRequest>(cleared[0])->call_id == 100);
  // The Reply crossed our Clear: its id is what the notify will name.
  CHECK(connection
            .on_message(OutgoingCallReply{.call_id = 9, .peers_call_id = 100, .result_code = 1},
                        clock.now())
            .empty());
  CHECK(connection.on_message(CallDisconnectNotify{.call_id = 9}, clock.now()).empty());
  CHECK(connection.calls().empty());
  CHECK(connection.counters().messages_ignored == 0);
}

TEST_CASE("rfc2637 §3.2.2: a PAC that answers two calls with one Call ID loses the second",
          "[rfc2637-3.2.2]") {
  FakeClock clock;
  auto connection = originated_connection(clock);
  (void)connection.place_call(OurCallId(100), {}, clock.now());
  (void)connection.place_call(OurCallId(101), {}, clock.now());
  (void)connection.on_message(
      OutgoingCallReply{.call_id = 9, .peers_call_id = 100, .result_code = 1}, clock.now());
  const auto second = connection.on_message(
      OutgoingCallReply{.call_id = 9, .peers_call_id = 101, .result_code = 1}, clock.now());
  CHECK(message<CallClearRequest>(second[0])->call_id == 101);
  CHECK(ended(second, OurCallId(101)) == EndReason::call_id_in_use);
}

TEST_CASE("rfc2637 §3.2.3.1: a call that we announce is connected, and cleared by the PNS",
          "[rfc2637-3.2.3.1][rfc2637-2.11]") {
  FakeClock clock;
  auto connection = originated_connection(clock);
  const auto announced = connection.announce_call(
      OurCallId(100), {.dialed_number = "1", .dialing_number = "22"}, clock.now());
  const auto* request = only_message<IncomingCallRequest>(announced);
  REQUIRE(request != nullptr);
  CHECK(request->call_id == 100);
  CHECK(request->dialed_number_length == 1);
  CHECK(text_of(request->dialing_number) == "22");
  const auto connected = connection.on_message(
      IncomingCallReply{.call_id = 9, .peers_call_id = 100, .result_code = 1}, clock.now());
  REQUIRE(connected.size() == 2);
  CHECK(message<IncomingCallConnected>(connected[0])->peers_call_id == 9);
  CHECK(std::get<model::ConnectCall>(connected[1]).peer_call_id == PeerCallId(9));
  const auto cleared = connection.on_message(CallClearRequest{9}, clock.now());
  REQUIRE(message<CallDisconnectNotify>(cleared[0]) != nullptr);
  CHECK(message<CallDisconnectNotify>(cleared[0])->call_id == 100);
  CHECK(message<CallDisconnectNotify>(cleared[0])->result_code == 4);
  CHECK(ended(cleared, OurCallId(100)) == EndReason::peer_cleared_call);
}

TEST_CASE("rfc2637 §1.3.1: calls of every kind live side by side on one connection",
          "[rfc2637-1.3.1]") {
  FakeClock clock;
  auto connection = announced_to_us(clock, 1);
  (void)connection.on_message(IncomingCallConnected{.peers_call_id = 100}, clock.now());
  (void)connection.place_call(OurCallId(101), {}, clock.now());
  (void)connection.on_message(
      OutgoingCallReply{.call_id = 2, .peers_call_id = 101, .result_code = 1}, clock.now());
  REQUIRE(open_call(connection, clock, 3, OurCallId(102)));
  // Each by the id that its PAC assigned: the peer's, the peer's, ours.
  CHECK(ended(connection.on_message(CallDisconnectNotify{.call_id = 2}, clock.now()),
              OurCallId(101)) == EndReason::peer_call_disconnected);
  CHECK(ended(connection.on_message(CallClearRequest{3}, clock.now()), OurCallId(102)) ==
        EndReason::peer_cleared_call);
  REQUIRE(connection.calls().size() == 1);
  CHECK(connection.calls()[0].our_call_id == OurCallId(100));
}

TEST_CASE("rfc2637 §2.14: the six counters of a PAC are kept for each call", "[rfc2637-2.14]") {
  FakeClock clock;
  auto connection = announced_to_us(clock, 77);
  (void)connection.on_message(IncomingCallConnected{.peers_call_id = 100}, clock.now());
  const WanErrorNotify notify{100, 1, 2, 3, 4, 5, 6};
  const auto told = connection.on_message(notify, clock.now());
  const auto* report = only<model::ReportWanErrors>(told);
  REQUIRE(report != nullptr);
  CHECK(report->our_call_id == OurCallId(100));
  CHECK(report->totals.counts == std::array<std::uint32_t, 6>{1, 2, 3, 4, 5, 6});
  REQUIRE(connection.calls()[0].line_errors != nullptr);
  CHECK(connection.calls()[0].line_errors->received == report->totals);
  CHECK(connection.on_message(notify, clock.now()).empty());  // nothing new
}

TEST_CASE("rfc2637 §2.14: as PAC we notify only when told to, when it grew, and once in 60 s",
          "[rfc2637-2.14]") {
  FakeClock clock;
  ConnectionSettings settings;
  settings.wan_error_notify = GENERATE(false, true);
  auto connection = established_connection(clock, settings);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  const auto report = [&](std::uint32_t drops) {
    model::WanErrors totals;
    totals.counts[model::kBufferOverrun] = drops;
    return connection.our_calls().report_wan_errors(OurCallId(100), totals, clock.now());
  };
  CHECK(report(0).empty());
  const auto first = report(3);
  if (!settings.wan_error_notify) {
    CHECK(first.empty());
    return;
  }
  REQUIRE(only_message<WanErrorNotify>(first) != nullptr);
  CHECK(only_message<WanErrorNotify>(first)->peers_call_id == 7);
  CHECK(only_message<WanErrorNotify>(first)->buffer_overruns == 3);
  CHECK(only_message<WanErrorNotify>(first)->crc_errors == 0);
  clock.advance(Seconds(60) - Duration(1));
  CHECK(report(4).empty());
  clock.advance(Duration(1));
  CHECK(only_message<WanErrorNotify>(report(4))->buffer_overruns == 4);
  clock.advance(Seconds(60));
  CHECK(report(4).empty());
}

TEST_CASE("rfc2637 §2.15: Set-Link-Info is kept for its call and never sent", "[rfc2637-2.15]") {
  FakeClock clock;
  auto connection = established_connection(clock);
  REQUIRE(open_call(connection, clock, 7, OurCallId(100)));
  CHECK(connection.on_message(SetLinkInfo{100, 0x000a0000, 0xffffffff}, clock.now()).empty());
  CHECK(connection.calls()[0].link_info == LinkInfo{0x000a0000, 0xffffffff});
  CHECK(connection.on_message(SetLinkInfo{101, 0, 0}, clock.now()).empty());
  CHECK(connection.counters().messages_ignored == 1);
}

TEST_CASE("rfc2637 §2.16: no reason to refuse or end a call reads as success", "[rfc2637-2.16]") {
  for (std::size_t i = 0; i < kEndReasonCount; ++i) {
    const auto reason = static_cast<EndReason>(i);
    INFO(name_of(reason));
    const auto outgoing = outgoing_reply_codes(reason);
    const auto incoming = incoming_reply_codes(reason);
    const auto disconnect = disconnect_codes(reason);
    CHECK(outgoing.result != OutgoingCallResult::kConnected);
    CHECK(incoming.result != IncomingCallResult::kConnect);
    // An Error Code goes with a General Error, and only with that.
    CHECK((outgoing.result == OutgoingCallResult::kGeneralError) ==
          (outgoing.error != GeneralError::kNone));
    CHECK((incoming.result == IncomingCallResult::kGeneralError) ==
          (incoming.error != GeneralError::kNone));
    CHECK((disconnect.result == DisconnectResult::kGeneralError) ==
          (disconnect.error != GeneralError::kNone));
  }
}
