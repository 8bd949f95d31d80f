// SPDX-License-Identifier: BSD-3-Clause
//
// Every cell of every state machine of RFC 2637 §3, as ControlConnection does it: one that is in
// the state meets the event, and what it sends, what it asks of its caller and its next state are
// compared with the tables below, which are written by hand from the RFC's diagrams and words.
//
// A cell reads: messages sent (with result code), actions, "> next state"; "ign": counted as
// ignored; "-": cannot happen. Messages: SCCRQ SCCRP StopRQ StopRP EchoRQ EchoRP OCRQ OCRP ICRQ
// ICRP ICCN CCRQ CDN. Actions: offer, withdraw, refuse, connect, end, close.
#include "controlplane/pptp/machines.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "controlplane/pptp/control_connection.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/pptp_actions.hpp"

using namespace pns;
using namespace pns::pptp;
using namespace pns::test;
using namespace pns::wire::pptp;
using model::CallKind;

namespace {

constexpr const char* kOriginatorCells = R"(
                  | idle                  | wait-ctl-reply          | established                      | wait-stop-reply
open              | SCCRQ >wait-ctl-reply | -                       | -                                | -
start-request     | close >closed         | close >closed           | SCCRP3 end close >closed         | ign >wait-stop-reply
start-request-bad | close >closed         | close >closed           | SCCRP3 end close >closed         | ign >wait-stop-reply
start-reply       | close >closed         | >established            | ign >established                 | ign >wait-stop-reply
start-reply-bad   | close >closed         | StopRQ >wait-stop-reply | ign >established                 | ign >wait-stop-reply
stop-request      | close >closed         | StopRP1 close >closed   | StopRP1 end close >closed        | StopRP1 close >closed
stop-reply        | close >closed         | close >closed           | ign >established                 | close >closed
echo-request      | close >closed         | close >closed           | EchoRP1 >established             | ign >wait-stop-reply
echo-reply        | close >closed         | close >closed           | >established                     | ign >wait-stop-reply
call-message      | close >closed         | close >closed           | offer >established               | ign >wait-stop-reply
bad-message       | close >closed         | close >closed           | end close >closed                | close >closed
terminate         | close >closed         | close >closed           | CDN3 end StopRQ >wait-stop-reply | >wait-stop-reply
timeout           | close >closed         | close >closed           | CDN3 end StopRQ >wait-stop-reply | close >closed
silence           | -                     | -                       | EchoRQ >established              | -
echo-timeout      | -                     | -                       | end close >closed                | -
collision         | close >closed         | close >closed           | -                                | -
tcp-closed        | >closed               | >closed                 | end >closed                      | >closed
)";

constexpr const char* kReceiverCells = R"(
                  | idle                  | established                      | wait-stop-reply
start-request     | SCCRP1 >established   | SCCRP3 end close >closed         | ign >wait-stop-reply
start-request-bad | SCCRP5 close >closed  | SCCRP3 end close >closed         | ign >wait-stop-reply
start-reply       | close >closed         | ign >established                 | ign >wait-stop-reply
start-reply-bad   | close >closed         | ign >established                 | ign >wait-stop-reply
stop-request      | close >closed         | StopRP1 end close >closed        | StopRP1 close >closed
stop-reply        | close >closed         | ign >established                 | close >closed
echo-request      | close >closed         | EchoRP1 >established             | ign >wait-stop-reply
echo-reply        | close >closed         | >established                     | ign >wait-stop-reply
call-message      | close >closed         | offer >established               | ign >wait-stop-reply
bad-message       | close >closed         | end close >closed                | close >closed
terminate         | close >closed         | CDN3 end StopRQ >wait-stop-reply | >wait-stop-reply
timeout           | close >closed         | CDN3 end StopRQ >wait-stop-reply | close >closed
silence           | -                     | EchoRQ >established              | -
echo-timeout      | -                     | end close >closed                | -
collision         | >idle                 | -                                | -
tcp-closed        | >closed               | end >closed                      | >closed
)";

constexpr const char* kCallCells[model::kCallKinds] = {
    // §3.2.4.1 PAC outgoing call
    R"(
            | idle                | wait-cs-ans                  | established
request     | offer >wait-cs-ans  | -                            | -
request-bad | OCRP2 refuse >idle  | -                            | -
answer      | -                   | OCRP1 >established           | -
fail        | -                   | OCRP2 refuse >idle           | -
clear       | ign >idle           | CDN4 withdraw >idle          | CDN4 end >idle
disconnect  | ign >idle           | withdraw >idle               | end >idle
terminate   | -                   | withdraw OCRP2 refuse >idle  | CDN3 end >idle
timeout     | -                   | withdraw OCRP2 refuse >idle  | -
lost        | -                   | withdraw >idle               | end >idle
)",
    // §3.2.3.2 PNS incoming call
    R"(
            | idle                | offered                     | wait-connect                | established               | wait-disconnect
request     | offer >offered      | -                           | -                           | -                         | -
request-bad | ICRP2 refuse >idle  | -                           | -                           | -                         | -
answer      | -                   | ICRP1 >wait-connect         | -                           | -                         | -
fail        | -                   | ICRP2 refuse >idle          | -                           | -                         | -
connected   | ign >idle           | ign >offered                | connect >established        | ign >established          | ign >wait-disconnect
clear       | ign >idle           | ign >offered                | ign >wait-connect           | ign >established          | ign >wait-disconnect
disconnect  | ign >idle           | withdraw >idle              | end >idle                   | end >idle                 | >idle
terminate   | -                   | withdraw ICRP2 refuse >idle | CCRQ end >wait-disconnect   | CCRQ end >wait-disconnect | >wait-disconnect
timeout     | -                   | withdraw ICRP2 refuse >idle | CCRQ end >wait-disconnect   | -                         | StopRQ >idle
lost        | -                   | withdraw >idle              | end >idle                   | end >idle                 | >idle
)",
    // §3.2.4.2 PNS outgoing call
    R"(
            | idle                | wait-reply                  | established                 | wait-disconnect
open        | OCRQ >wait-reply    | -                           | -                           | -
reply       | ign >idle           | connect >established        | ign >established            | >wait-disconnect
reply-bad   | ign >idle           | end >idle                   | ign >established            | >idle
clear       | ign >idle           | ign >wait-reply             | ign >established            | ign >wait-disconnect
disconnect  | ign >idle           | end >idle                   | end >idle                   | >idle
terminate   | -                   | CCRQ end >wait-disconnect   | CCRQ end >wait-disconnect   | >wait-disconnect
timeout     | -                   | CCRQ end >wait-disconnect   | -                           | StopRQ >idle
lost        | -                   | end >idle                   | end >idle                   | >idle
)",
    // §3.2.3.1 PAC incoming call
    R"(
            | idle                | wait-reply                  | established
open        | ICRQ >wait-reply    | -                           | -
reply       | ign >idle           | ICCN connect >established   | ign >established
reply-bad   | ign >idle           | end >idle                   | ign >established
clear       | ign >idle           | CDN4 end >idle              | CDN4 end >idle
disconnect  | ign >idle           | end >idle                   | end >idle
terminate   | -                   | CDN3 end >idle              | CDN3 end >idle
timeout     | -                   | CDN3 end >idle              | -
lost        | -                   | end >idle                   | end >idle
)"};

std::string trim(std::string text) {
  const auto from = text.find_first_not_of(' ');
  if (from == std::string::npos) return {};
  return text.substr(from, text.find_last_not_of(' ') - from + 1);
}

// (state, event) → what the cell says.
std::map<std::pair<std::string, std::string>, std::string> read_cells(const char* text) {
  std::map<std::pair<std::string, std::string>, std::string> out;
  std::istringstream lines(text);
  std::vector<std::string> states;
  for (std::string line; std::getline(lines, line);) {
    if (trim(line).empty()) continue;
    std::istringstream cells(line);
    std::vector<std::string> row;
    for (std::string cell; std::getline(cells, cell, '|');) row.push_back(trim(cell));
    if (states.empty()) {
      states = row;
      continue;
    }
    REQUIRE(row.size() == states.size());
    for (std::size_t i = 1; i < row.size(); ++i) {
      INFO(row[0] << " in " << states[i]);
      REQUIRE(out.emplace(std::pair(states[i], row[0]), row[i]).second);
    }
  }
  return out;
}

std::string short_name(const Message& message) {
  static const char* const kNames[] = {"SCCRQ",  "SCCRP", "StopRQ", "StopRP", "EchoRQ",
                                       "EchoRP", "OCRQ",  "OCRP",   "ICRQ",   "ICRP",
                                       "ICCN",   "CCRQ",  "CDN",    "WEN",    "SLI"};
  std::string name = kNames[message.index()];
  std::visit(
      [&](const auto& m) {
        if constexpr (requires { m.result_code; }) name += std::to_string(m.result_code);
      },
      message);
  return name;
}

std::string describe(const model::ConnectionActions& actions) {
  std::string out;
  for (const auto& action : actions) {
    if (!out.empty()) out += " ";
    if (const auto* send = std::get_if<model::SendMessage>(&action))
      out += short_name(send->message);
    else if (std::holds_alternative<model::OfferCall>(action))
      out += "offer";
    else if (std::holds_alternative<model::WithdrawOffer>(action))
      out += "withdraw";
    else if (std::holds_alternative<model::RefuseCall>(action))
      out += "refuse";
    else if (std::holds_alternative<model::ConnectCall>(action))
      out += "connect";
    else if (std::holds_alternative<model::EndCall>(action))
      out += "end";
    else if (std::holds_alternative<model::CloseConnection>(action))
      out += "close";
    else
      out += "?";
  }
  return out;
}

constexpr auto kOurs = OurCallId(100);
constexpr auto kTheirs = std::uint16_t{7};

// A connection in a state, its clock, and the events that can meet it.
struct Scene {
  explicit Scene(bool originated, ConnectionSettings the_settings = {})
      : settings(the_settings),
        connection(originated ? ControlConnection::originate(settings, clock.now())
                              : ControlConnection(settings, clock.now())) {}

  static ConnectionSettings quiet() {
    ConnectionSettings settings;
    settings.echo_interval = Seconds(3600);  // the calls' timers alone
    return settings;
  }

  void establish() {
    if (connection.originated()) {
      (void)connection.open(clock.now());
      (void)hear(StartControlConnectionReply{.result_code = 1});
    } else {
      (void)hear(StartControlConnectionRequest{});
    }
    REQUIRE(connection.state() == ConnectionState::kEstablished);
  }
  model::ConnectionActions hear(const Message& message) {
    return connection.on_message(message, clock.now());
  }
  model::ConnectionActions wait(TimePoint until) {
    clock.advance_to(until);
    return connection.on_deadline(clock.now());
  }

  void reach(ConnectionState state) {
    switch (state) {
      case ConnectionState::kIdle:
        break;
      case ConnectionState::kWaitCtlReply:
        (void)connection.open(clock.now());
        break;
      case ConnectionState::kEstablished:
        establish();
        REQUIRE(open_call(connection, clock, kTheirs, kOurs));
        break;
      case ConnectionState::kWaitStopReply:
        establish();
        (void)connection.stop(EndReason::shutting_down, clock.now());
        break;
      case ConnectionState::kClosed:
        FAIL("no column");
    }
    REQUIRE(connection.state() == state);
  }

  model::ConnectionActions meet(ConnectionEvent event) {
    switch (event) {
      case ConnectionEvent::kOpen:
        return connection.open(clock.now());
      case ConnectionEvent::kStartRequest:
        return hear(StartControlConnectionRequest{});
      case ConnectionEvent::kStartRequestBad:
        return hear(StartControlConnectionRequest{.protocol_version = 0x00ff});
      case ConnectionEvent::kStartReply:
        return hear(StartControlConnectionReply{.result_code = 1});
      case ConnectionEvent::kStartReplyBad:
        return hear(StartControlConnectionReply{.result_code = 4});
      case ConnectionEvent::kStopRequest:
        return hear(StopControlConnectionRequest{1});
      case ConnectionEvent::kStopReply:
        return hear(StopControlConnectionReply{1, 0});
      case ConnectionEvent::kEchoRequest:
        return hear(EchoRequest{5});
      case ConnectionEvent::kEchoReply:
        return hear(EchoReply{5, 1, 0});
      case ConnectionEvent::kCallMessage:
        return hear(OutgoingCallRequest{.call_id = 9});
      case ConnectionEvent::kBadMessage:
        return connection.on_frame_error(FrameError::kBadMagicCookie, clock.now());
      case ConnectionEvent::kTerminate:
        return connection.stop(EndReason::shutting_down, clock.now());
      case ConnectionEvent::kTimeout:
        if (connection.state() != ConnectionState::kEstablished)
          return wait(connection.deadline().value());
        // A call that was cleared and never notified makes the whole connection suspect (§3.2.1).
        (void)connection.place_call(OurCallId(55), {}, clock.now());
        (void)connection.our_calls().end(OurCallId(55), EndReason::operator_cleared, {},
                                         clock.now());
        return wait(clock.now() + settings.reply_timeout);
      case ConnectionEvent::kSilence:
        return wait(clock.now() + settings.echo_interval);
      case ConnectionEvent::kEchoTimeout:
        (void)wait(clock.now() + settings.echo_interval);
        return wait(clock.now() + settings.echo_timeout);
      case ConnectionEvent::kCollision:
        return connection.on_collision(clock.now());
      case ConnectionEvent::kTcpClosed:
        return connection.on_tcp_closed(EndReason::peer_closed_tcp, clock.now());
    }
    return {};
  }

  void reach(CallKind kind, CallState state) {
    establish();
    const auto offered = [&] {
      const auto actions = kind == CallKind::kSubscriber
                               ? hear(OutgoingCallRequest{.call_id = kTheirs})
                               : hear(IncomingCallRequest{.call_id = kTheirs});
      REQUIRE(only<model::OfferCall>(actions) != nullptr);
      offer = only<model::OfferCall>(actions)->offer;
    };
    const bool theirs = kind == CallKind::kSubscriber || kind == CallKind::kIncoming;
    switch (state) {
      case CallState::kIdle:
        return;
      case CallState::kOffered:
      case CallState::kWaitCsAns:
        offered();
        break;
      case CallState::kWaitReply:
        (void)meet(kind, CallEvent::kOpen);
        break;
      case CallState::kWaitConnect:
        offered();
        (void)meet(kind, CallEvent::kAnswer);
        break;
      case CallState::kEstablished:
        if (theirs) {
          offered();
          (void)meet(kind, CallEvent::kAnswer);
          if (kind == CallKind::kIncoming) (void)meet(kind, CallEvent::kConnected);
        } else {
          (void)meet(kind, CallEvent::kOpen);
          (void)meet(kind, CallEvent::kReply);
        }
        break;
      case CallState::kWaitDisconnect:
        if (theirs) {
          offered();
          (void)meet(kind, CallEvent::kAnswer);
        } else {
          (void)meet(kind, CallEvent::kOpen);
        }
        (void)connection.our_calls().end(kOurs, EndReason::operator_cleared, {}, clock.now());
        break;
    }
    REQUIRE(connection.calls().size() == 1);
    REQUIRE(connection.calls()[0].kind == kind);
    REQUIRE(connection.calls()[0].state == state);
  }

  model::ConnectionActions meet(CallKind kind, CallEvent event) {
    switch (event) {
      case CallEvent::kOpen:
        return kind == CallKind::kPlaced ? connection.place_call(kOurs, {}, clock.now())
                                         : connection.announce_call(kOurs, {}, clock.now());
      case CallEvent::kRequest:
      case CallEvent::kRequestBad:  // settings.maximum_calls makes it so
        if (kind == CallKind::kSubscriber) return hear(OutgoingCallRequest{.call_id = kTheirs});
        return hear(IncomingCallRequest{.call_id = kTheirs});
      case CallEvent::kAnswer:
        return connection.our_calls().accept(offer, kOurs, clock.now());
      case CallEvent::kFail:
        return connection.our_calls().refuse(offer, EndReason::no_session_slot, clock.now());
      case CallEvent::kReply:
      case CallEvent::kReplyBad: {
        const bool good = event == CallEvent::kReply;
        if (kind == CallKind::kPlaced)
          return hear(OutgoingCallReply{.call_id = good ? kTheirs : std::uint16_t{0},
                                        .peers_call_id = kOurs.value,
                                        .result_code = good ? std::uint8_t{1} : std::uint8_t{4}});
        return hear(IncomingCallReply{.call_id = good ? kTheirs : std::uint16_t{0},
                                      .peers_call_id = kOurs.value,
                                      .result_code = good ? std::uint8_t{1} : std::uint8_t{3}});
      }
      case CallEvent::kConnected:
        return hear(IncomingCallConnected{.peers_call_id = kOurs.value});
      case CallEvent::kClear:
        return hear(CallClearRequest{model::we_are_pns(kind) ? kOurs.value : kTheirs});
      case CallEvent::kDisconnect: {
        // The PAC's id; where it is us and has none yet, or never told us, the other one.
        const bool known = !connection.calls().empty() && connection.calls()[0].peer_call_id;
        return hear(CallDisconnectNotify{.call_id = known ? kTheirs : kOurs.value});
      }
      case CallEvent::kTerminate:
        if (!connection.calls().empty() && connection.calls()[0].our_call_id)
          return connection.our_calls().end(kOurs, EndReason::operator_cleared, {}, clock.now());
        {
          auto actions = connection.stop(EndReason::shutting_down, clock.now());
          actions.pop_back();  // the Stop-Request is the connection's
          return actions;
        }
      case CallEvent::kTimeout:
        return wait(connection.calls().at(0).answer_by.value());
      case CallEvent::kLost:
        return connection.on_tcp_closed(EndReason::peer_reset_tcp, clock.now());
    }
    return {};
  }

  FakeClock clock;
  ConnectionSettings settings;
  ControlConnection connection;
  std::uint32_t offer = 0;
};

std::string with_outcome(const Scene& scene, std::uint64_t ignored_before, std::string actions,
                         std::string_view next) {
  if (scene.connection.counters().messages_ignored != ignored_before) actions += "ign";
  if (!actions.empty()) actions += " ";
  return actions + ">" + std::string(next);
}

}  // namespace

TEST_CASE("machines: every cell of the control connection, both ends",
          "[pptp][rfc2637-3.1.1][rfc2637-3.1.2]") {
  std::size_t cells_tested = 0;
  for (const bool originated : {true, false}) {
    const ConnectionMachine& machine = originated ? kOriginator : kReceiver;
    auto expected = read_cells(originated ? kOriginatorCells : kReceiverCells);
    for (const auto& row : machine.rows)
      for (std::size_t column = 0; column < machine.states.size(); ++column) {
        const ConnectionState state = machine.states[column];
        const std::string state_name(name_of(state));
        const std::string event_name(name_of(row.event));
        INFO(machine.name << " §" << machine.section << ": " << event_name << " in " << state_name);
        const auto found = expected.find({state_name, event_name});
        REQUIRE(found != expected.end());
        ++cells_tested;
        CHECK(row.cells.at(column).legal == (found->second != "-"));
        if (found->second != "-") {
          const bool timers =
              row.event == ConnectionEvent::kSilence || row.event == ConnectionEvent::kEchoTimeout;
          Scene scene(originated, timers ? ConnectionSettings{} : Scene::quiet());
          scene.reach(state);
          const auto ignored = scene.connection.counters().messages_ignored;
          const auto actions = scene.meet(row.event);
          CHECK(with_outcome(scene, ignored, describe(actions),
                             name_of(scene.connection.state())) == found->second);
        }
        expected.erase(found);
      }
    CHECK(expected.empty());  // nothing above that the machine does not have
  }
  CHECK(cells_tested == 17 * 4 + 16 * 3);
}

TEST_CASE("machines: every cell of the four kinds of calls",
          "[pptp][rfc2637-3.2.3.1][rfc2637-3.2.3.2][rfc2637-3.2.4.1][rfc2637-3.2.4.2]") {
  std::size_t cells_tested = 0;
  for (std::size_t index = 0; index < model::kCallKinds; ++index) {
    const auto kind = static_cast<CallKind>(index);
    const CallMachine& machine = machine_of(kind);
    auto expected = read_cells(kCallCells[index]);
    for (const auto& row : machine.rows)
      for (std::size_t column = 0; column < machine.states.size(); ++column) {
        const CallState state = machine.states[column];
        const std::string state_name(name_of(state));
        const std::string event_name(name_of(row.event));
        INFO(machine.name << " §" << machine.section << ": " << event_name << " in " << state_name);
        const auto found = expected.find({state_name, event_name});
        REQUIRE(found != expected.end());
        ++cells_tested;
        CHECK(row.cells.at(column).legal == (found->second != "-"));
        if (found->second != "-") {
          ConnectionSettings settings = Scene::quiet();
          if (row.event == CallEvent::kRequestBad) settings.maximum_calls = 0;
          Scene scene(false, settings);
          scene.reach(kind, state);
          const auto ignored = scene.connection.counters().messages_ignored;
          const auto actions = scene.meet(kind, row.event);
          REQUIRE(scene.connection.calls().size() <= 1);
          const CallState next = scene.connection.calls().empty()
                                     ? CallState::kIdle
                                     : scene.connection.calls()[0].state;
          CHECK(with_outcome(scene, ignored, describe(actions), name_of(next)) == found->second);
        }
        expected.erase(found);
      }
    CHECK(expected.empty());
  }
  CHECK(cells_tested == 9 * 3 + 10 * 5 + 8 * 4 + 8 * 3);
}

TEST_CASE("machines: a machine knows only its own states and events", "[pptp]") {
  CHECK(kReceiver.find(ConnectionState::kWaitCtlReply, ConnectionEvent::kStartReply) == nullptr);
  CHECK(kReceiver.find(ConnectionState::kIdle, ConnectionEvent::kOpen) == nullptr);
  CHECK(kOriginator.find(ConnectionState::kClosed, ConnectionEvent::kEchoRequest) == nullptr);
  CHECK(machine_of(CallKind::kSubscriber).find(CallState::kWaitReply, CallEvent::kReply) ==
        nullptr);
  for (const CallMachine& machine : kCallMachines) {
    CHECK(machine.states.front() == CallState::kIdle);
    for (const auto& row : machine.rows)
      for (std::size_t i = machine.states.size(); i < row.cells.size(); ++i)
        CHECK_FALSE(row.cells.at(i).legal);  // no cell beyond the last column
  }
}
