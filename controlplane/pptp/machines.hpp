// SPDX-License-Identifier: BSD-3-Clause
//
// The state machines of RFC 2637 §3 as tables: rows are events, columns are states, both with the
// RFC's words. Two machines of the control connection (§3.1.1 originator, §3.1.2 receiver) and four
// of a call (§3.2.3.1, §3.2.3.2, §3.2.4.1, §3.2.4.2). The tables alone; what an action does is in
// control_connection.cpp and calls.cpp. constexpr data, any thread.
//
// The RFC draws what should happen; a server must also have an answer to what should not. Rows that
// it has not: Clear and Disconnect from a peer in the wrong role, Timeout (§3.2.1 in words), Lost
// (the control connection is gone), and the cells marked ign, where a message changes nothing and
// is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "controlplane/model/call_kind.hpp"

namespace pns::pptp {

template <class State, class Action>
struct Transition {
  bool legal = false;  // false: cannot happen
  std::array<Action, 4> actions{};
  State next = State::kIdle;
};

// One machine: `states` names the columns of every row.
template <class State, class Event, class Action>
struct Machine {
  struct Row {
    Event event{};
    std::array<Transition<State, Action>, 5> cells{};  // as many as there are states
  };
  std::string_view name;
  std::string_view section;  // of RFC 2637
  std::span<const State> states;
  std::span<const Row> rows;

  // Null: the machine has no such state or no such event.
  [[nodiscard]] constexpr const Transition<State, Action>* find(State state,
                                                                Event event) const noexcept {
    for (const Row& row : rows)
      if (row.event == event)
        for (std::size_t i = 0; i < states.size(); ++i)
          if (states[i] == state) return &row.cells[i];
    return nullptr;
  }
};

// ---- The control connection ---------------------------------------------------------------------

enum class ConnectionState : std::uint8_t {
  kIdle,          // TCP is up; the first message is awaited or about to go
  kWaitCtlReply,  // our Start-Control-Connection-Request is out
  kEstablished,
  kWaitStopReply,  // our Stop-Control-Connection-Request is out
  kClosed,         // the RFC's idle at the end: a machine lives once
};

enum class ConnectionEvent : std::uint8_t {
  kOpen,             // TCP that we opened is up
  kStartRequest,     // its version can be served
  kStartRequestBad,  // its version cannot
  kStartReply,       // success, and a version that we speak
  kStartReplyBad,    // a refusal, or a version that we do not speak
  kStopRequest,
  kStopReply,
  kEchoRequest,
  kEchoReply,
  kCallMessage,  // the nine that concern calls
  kBadMessage,   // no PPTP (§3), or more than a peer may send
  kTerminate,    // local
  kTimeout,      // no state transition for the time a state may last (§3.1.4, §3.2.1)
  kSilence,      // nothing came for the echo interval (§3.1.4), or our side asks for an echo
  kEchoTimeout,  // nor after our Echo-Request
  kCollision,    // both sides start (§3.1.3). Originator: we lose; receiver: the peer will close
  kTcpClosed,
};
inline constexpr std::size_t kConnectionEvents = 17;

enum class ConnectionAction : std::uint8_t {
  kNone,
  kLearnPeer,  // its names, as the Start message says
  kSendStartRequest,
  kSendStartReply,
  kRefuseStart,  // Start-Control-Connection-Reply with an error
  kSendStopRequest,
  kSendStopReply,
  kSendEchoRequest,
  kSendEchoReply,
  kHandToCall,  // the message goes to its call's machine
  kClearCalls,  // every call: Terminate
  kDropCalls,   // every call that is left: Lost
  kCloseTcp,
  kIgnore,  // counted
};

using ConnectionMachine = Machine<ConnectionState, ConnectionEvent, ConnectionAction>;

namespace connection_tables {

using S = ConnectionState;
using E = ConnectionEvent;
using A = ConnectionAction;
using T = Transition<S, A>;
using Row = ConnectionMachine::Row;

consteval T to(S next) { return {true, {}, next}; }
consteval T act(A a, S next) { return {true, {a}, next}; }
consteval T act(A a, A b, S next) { return {true, {a, b}, next}; }
consteval T act(A a, A b, A c, S next) { return {true, {a, b, c}, next}; }

inline constexpr T no{};
inline constexpr S idl = S::kIdle, wcr = S::kWaitCtlReply, est = S::kEstablished,
                   wsr = S::kWaitStopReply, end = S::kClosed;
inline constexpr A lrn = A::kLearnPeer, ssr = A::kSendStartRequest, ssp = A::kSendStartReply,
                   ssx = A::kRefuseStart, str = A::kSendStopRequest, stp = A::kSendStopReply,
                   ser = A::kSendEchoRequest, sep = A::kSendEchoReply, hnd = A::kHandToCall,
                   clr = A::kClearCalls, drp = A::kDropCalls, cls = A::kCloseTcp, ign = A::kIgnore;

// clang-format off
inline constexpr std::array originator_states = {idl, wcr, est, wsr};
inline constexpr std::array originator_rows = {
//                           idle          wait_ctl_reply     established            wait_stop_reply
Row{E::kOpen,            {{act(ssr,wcr),  no,                no,                    no}}},
Row{E::kStartRequest,    {{act(cls,end),  act(cls,end),      act(ssx,drp,cls,end),  act(ign,wsr)}}},
Row{E::kStartRequestBad, {{act(cls,end),  act(cls,end),      act(ssx,drp,cls,end),  act(ign,wsr)}}},
Row{E::kStartReply,      {{act(cls,end),  act(lrn,est),      act(ign,est),          act(ign,wsr)}}},
Row{E::kStartReplyBad,   {{act(cls,end),  act(str,wsr),      act(ign,est),          act(ign,wsr)}}},
Row{E::kStopRequest,     {{act(cls,end),  act(stp,cls,end),  act(stp,drp,cls,end),  act(stp,cls,end)}}},
Row{E::kStopReply,       {{act(cls,end),  act(cls,end),      act(ign,est),          act(cls,end)}}},
Row{E::kEchoRequest,     {{act(cls,end),  act(cls,end),      act(sep,est),          act(ign,wsr)}}},
Row{E::kEchoReply,       {{act(cls,end),  act(cls,end),      to(est),               act(ign,wsr)}}},
Row{E::kCallMessage,     {{act(cls,end),  act(cls,end),      act(hnd,est),          act(ign,wsr)}}},
Row{E::kBadMessage,      {{act(cls,end),  act(cls,end),      act(drp,cls,end),      act(cls,end)}}},
Row{E::kTerminate,       {{act(cls,end),  act(cls,end),      act(clr,drp,str,wsr),  to(wsr)}}},
Row{E::kTimeout,         {{act(cls,end),  act(cls,end),      act(clr,drp,str,wsr),  act(cls,end)}}},
Row{E::kSilence,         {{no,            no,                act(ser,est),          no}}},
Row{E::kEchoTimeout,     {{no,            no,                act(drp,cls,end),      no}}},
Row{E::kCollision,       {{act(cls,end),  act(cls,end),      no,                    no}}},
Row{E::kTcpClosed,       {{to(end),       to(end),           act(drp,end),          to(end)}}},
};

inline constexpr std::array receiver_states = {idl, est, wsr};
inline constexpr std::array receiver_rows = {
//                           idle               established            wait_stop_reply
Row{E::kStartRequest,    {{act(lrn,ssp,est),   act(ssx,drp,cls,end),  act(ign,wsr)}}},
Row{E::kStartRequestBad, {{act(ssx,cls,end),   act(ssx,drp,cls,end),  act(ign,wsr)}}},
Row{E::kStartReply,      {{act(cls,end),       act(ign,est),          act(ign,wsr)}}},
Row{E::kStartReplyBad,   {{act(cls,end),       act(ign,est),          act(ign,wsr)}}},
Row{E::kStopRequest,     {{act(cls,end),       act(stp,drp,cls,end),  act(stp,cls,end)}}},
Row{E::kStopReply,       {{act(cls,end),       act(ign,est),          act(cls,end)}}},
Row{E::kEchoRequest,     {{act(cls,end),       act(sep,est),          act(ign,wsr)}}},
Row{E::kEchoReply,       {{act(cls,end),       to(est),               act(ign,wsr)}}},
Row{E::kCallMessage,     {{act(cls,end),       act(hnd,est),          act(ign,wsr)}}},
Row{E::kBadMessage,      {{act(cls,end),       act(drp,cls,end),      act(cls,end)}}},
Row{E::kTerminate,       {{act(cls,end),       act(clr,drp,str,wsr),  to(wsr)}}},
Row{E::kTimeout,         {{act(cls,end),       act(clr,drp,str,wsr),  act(cls,end)}}},
Row{E::kSilence,         {{no,                 act(ser,est),          no}}},
Row{E::kEchoTimeout,     {{no,                 act(drp,cls,end),      no}}},
Row{E::kCollision,       {{to(idl),            no,                    no}}},
Row{E::kTcpClosed,       {{to(end),            act(drp,end),          to(end)}}},
};
// clang-format on

}  // namespace connection_tables

inline constexpr ConnectionMachine kOriginator{"originator", "3.1.1",
                                               connection_tables::originator_states,
                                               connection_tables::originator_rows};
inline constexpr ConnectionMachine kReceiver{
    "receiver", "3.1.2", connection_tables::receiver_states, connection_tables::receiver_rows};

[[nodiscard]] constexpr std::string_view name_of(ConnectionState state) noexcept {
  constexpr std::array<std::string_view, 5> kNames = {"idle", "wait-ctl-reply", "established",
                                                      "wait-stop-reply", "closed"};
  return kNames[static_cast<std::size_t>(state)];
}
[[nodiscard]] constexpr std::string_view name_of(ConnectionEvent event) noexcept {
  constexpr std::array<std::string_view, kConnectionEvents> kNames = {
      "open",         "start-request", "start-request-bad", "start-reply", "start-reply-bad",
      "stop-request", "stop-reply",    "echo-request",      "echo-reply",  "call-message",
      "bad-message",  "terminate",     "timeout",           "silence",     "echo-timeout",
      "collision",    "tcp-closed"};
  return kNames[static_cast<std::size_t>(event)];
}

// ---- Calls --------------------------------------------------------------------------------------

enum class CallState : std::uint8_t {
  kIdle,     // no call yet, or no call any more
  kOffered,  // the RFC's idle while our caller makes up its mind about an incoming call
  kWaitReply,
  kWaitCsAns,
  kWaitConnect,
  kEstablished,
  kWaitDisconnect,
};

enum class CallEvent : std::uint8_t {
  kOpen,        // we want a call: a ring (§3.2.3.1), an open request (§3.2.4.2)
  kRequest,     // of the peer, without error
  kRequestBad,  // of the peer, to be refused at once
  kAnswer,      // our caller takes the call (the RFC's "telco answer")
  kFail,        // our caller refuses it ("incomplete call")
  kReply,       // accepting
  kReplyBad,    // not accepting
  kConnected,   // Incoming-Call-Connected
  kClear,       // Call-Clear-Request
  kDisconnect,  // Call-Disconnect-Notify
  kTerminate,   // local
  kTimeout,     // the state has lasted too long
  kLost,        // the control connection is gone
};
inline constexpr std::size_t kCallEvents = 13;

enum class CallAction : std::uint8_t {
  kNone,
  kOffer,                 // ask our caller
  kWithdraw,              // it need not answer any more
  kSendRequest,           // Outgoing- or Incoming-Call-Request
  kSendReply,             // accepting
  kRefuse,                // the Reply that does not, and its reason for our caller
  kSendConnected,         // Incoming-Call-Connected
  kSendClearRequest,      // Call-Clear-Request
  kSendDisconnectNotify,  // Call-Disconnect-Notify
  kLearn,                 // what the Reply says of the peer's side
  kConnect,               // tell our caller that PPP may start
  kEnd,                   // tell our caller that the call is over
  kSuspect,               // §3.2.1: close the whole control connection
  kIgnore,                // counted
};

using CallMachine = Machine<CallState, CallEvent, CallAction>;

namespace call_tables {

using S = CallState;
using E = CallEvent;
using A = CallAction;
using T = Transition<S, A>;
using Row = CallMachine::Row;

consteval T to(S next) { return {true, {}, next}; }
consteval T act(A a, S next) { return {true, {a}, next}; }
consteval T act(A a, A b, S next) { return {true, {a, b}, next}; }
consteval T act(A a, A b, A c, S next) { return {true, {a, b, c}, next}; }

inline constexpr T no{};
inline constexpr S idl = S::kIdle, ofd = S::kOffered, wrp = S::kWaitReply, wca = S::kWaitCsAns,
                   wco = S::kWaitConnect, est = S::kEstablished, wdi = S::kWaitDisconnect;
inline constexpr A off = A::kOffer, wdr = A::kWithdraw, srq = A::kSendRequest, srp = A::kSendReply,
                   srx = A::kRefuse, scn = A::kSendConnected, scc = A::kSendClearRequest,
                   scd = A::kSendDisconnectNotify, lrn = A::kLearn, con = A::kConnect,
                   end = A::kEnd, sus = A::kSuspect, ign = A::kIgnore;

// clang-format off

// §3.2.4.1: the subscriber dials, so it is the PNS and we are the PAC.
inline constexpr std::array pac_outgoing_states = {idl, wca, est};
inline constexpr std::array pac_outgoing_rows = {
//                      idle           wait_cs_ans          established
Row{E::kRequest,    {{act(off,wca),   no,                  no}}},
Row{E::kRequestBad, {{act(srx,idl),   no,                  no}}},
Row{E::kAnswer,     {{no,             act(srp,est),        no}}},
Row{E::kFail,       {{no,             act(srx,idl),        no}}},
Row{E::kClear,      {{act(ign,idl),   act(scd,wdr,idl),    act(scd,end,idl)}}},
Row{E::kDisconnect, {{act(ign,idl),   act(wdr,idl),        act(end,idl)}}},
Row{E::kTerminate,  {{no,             act(wdr,srx,idl),    act(scd,end,idl)}}},
Row{E::kTimeout,    {{no,             act(wdr,srx,idl),    no}}},
Row{E::kLost,       {{no,             act(wdr,idl),        act(end,idl)}}},
};

// §3.2.3.2: a PAC announces a call, we are the PNS.
inline constexpr std::array pns_incoming_states = {idl, ofd, wco, est, wdi};
inline constexpr std::array pns_incoming_rows = {
//                      idle           offered            wait_connect       established        wait_disconnect
Row{E::kRequest,    {{act(off,ofd),   no,                no,                no,                no}}},
Row{E::kRequestBad, {{act(srx,idl),   no,                no,                no,                no}}},
Row{E::kAnswer,     {{no,             act(srp,wco),      no,                no,                no}}},
Row{E::kFail,       {{no,             act(srx,idl),      no,                no,                no}}},
Row{E::kConnected,  {{act(ign,idl),   act(ign,ofd),      act(con,est),      act(ign,est),      act(ign,wdi)}}},
Row{E::kClear,      {{act(ign,idl),   act(ign,ofd),      act(ign,wco),      act(ign,est),      act(ign,wdi)}}},
Row{E::kDisconnect, {{act(ign,idl),   act(wdr,idl),      act(end,idl),      act(end,idl),      to(idl)}}},
Row{E::kTerminate,  {{no,             act(wdr,srx,idl),  act(scc,end,wdi),  act(scc,end,wdi),  to(wdi)}}},
Row{E::kTimeout,    {{no,             act(wdr,srx,idl),  act(scc,end,wdi),  no,                act(sus,idl)}}},
Row{E::kLost,       {{no,             act(wdr,idl),      act(end,idl),      act(end,idl),      to(idl)}}},
};

// §3.2.4.2: we place a call, we are the PNS.
inline constexpr std::array pns_outgoing_states = {idl, wrp, est, wdi};
inline constexpr std::array pns_outgoing_rows = {
//                      idle           wait_reply         established        wait_disconnect
Row{E::kOpen,       {{act(srq,wrp),   no,                no,                no}}},
Row{E::kReply,      {{act(ign,idl),   act(lrn,con,est),  act(ign,est),      act(lrn,wdi)}}},
Row{E::kReplyBad,   {{act(ign,idl),   act(end,idl),      act(ign,est),      to(idl)}}},
Row{E::kClear,      {{act(ign,idl),   act(ign,wrp),      act(ign,est),      act(ign,wdi)}}},
Row{E::kDisconnect, {{act(ign,idl),   act(end,idl),      act(end,idl),      to(idl)}}},
Row{E::kTerminate,  {{no,             act(scc,end,wdi),  act(scc,end,wdi),  to(wdi)}}},
Row{E::kTimeout,    {{no,             act(scc,end,wdi),  no,                act(sus,idl)}}},
Row{E::kLost,       {{no,             act(end,idl),      act(end,idl),      to(idl)}}},
};

// §3.2.3.1: we announce a call, we are the PAC.
inline constexpr std::array pac_incoming_states = {idl, wrp, est};
inline constexpr std::array pac_incoming_rows = {
//                      idle           wait_reply             established
Row{E::kOpen,       {{act(srq,wrp),   no,                    no}}},
Row{E::kReply,      {{act(ign,idl),   act(lrn,scn,con,est),  act(ign,est)}}},
Row{E::kReplyBad,   {{act(ign,idl),   act(end,idl),          act(ign,est)}}},
Row{E::kClear,      {{act(ign,idl),   act(scd,end,idl),      act(scd,end,idl)}}},
Row{E::kDisconnect, {{act(ign,idl),   act(end,idl),          act(end,idl)}}},
Row{E::kTerminate,  {{no,             act(scd,end,idl),      act(scd,end,idl)}}},
Row{E::kTimeout,    {{no,             act(scd,end,idl),      no}}},
Row{E::kLost,       {{no,             act(end,idl),          act(end,idl)}}},
};
// clang-format on

}  // namespace call_tables

// kCallMachines[kind]
inline constexpr std::array<CallMachine, model::kCallKinds> kCallMachines = {{
    {"pac-outgoing", "3.2.4.1", call_tables::pac_outgoing_states, call_tables::pac_outgoing_rows},
    {"pns-incoming", "3.2.3.2", call_tables::pns_incoming_states, call_tables::pns_incoming_rows},
    {"pns-outgoing", "3.2.4.2", call_tables::pns_outgoing_states, call_tables::pns_outgoing_rows},
    {"pac-incoming", "3.2.3.1", call_tables::pac_incoming_states, call_tables::pac_incoming_rows},
}};

[[nodiscard]] constexpr const CallMachine& machine_of(model::CallKind kind) noexcept {
  return kCallMachines[static_cast<std::size_t>(kind)];
}

[[nodiscard]] constexpr std::string_view name_of(CallState state) noexcept {
  constexpr std::array<std::string_view, 7> kNames = {
      "idle",         "offered",     "wait-reply",     "wait-cs-ans",
      "wait-connect", "established", "wait-disconnect"};
  return kNames[static_cast<std::size_t>(state)];
}
[[nodiscard]] constexpr std::string_view name_of(CallEvent event) noexcept {
  constexpr std::array<std::string_view, kCallEvents> kNames = {
      "open",      "request", "request-bad", "answer",    "fail",    "reply", "reply-bad",
      "connected", "clear",   "disconnect",  "terminate", "timeout", "lost"};
  return kNames[static_cast<std::size_t>(event)];
}

}  // namespace pns::pptp
