// SPDX-License-Identifier: BSD-3-Clause
//
// The option negotiation automaton of RFC 1661 §4.1 as one table: rows are events, columns are
// states, in the order and with the short names of the RFC. The table alone; counters, timers and
// packets are in control_protocol.hpp. constexpr data, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns::ppp {

enum class State : std::uint8_t {  // RFC 1661 §4.2
  kInitial = 0,
  kStarting = 1,
  kClosed = 2,
  kStopped = 3,
  kClosing = 4,
  kStopping = 5,
  kReqSent = 6,
  kAckRcvd = 7,
  kAckSent = 8,
  kOpened = 9,
};
inline constexpr std::size_t kStateCount = 10;

enum class Event : std::uint8_t {  // §4.3
  kUp,
  kDown,
  kOpen,
  kClose,
  kToPlus,    // TO+: timeout, counter > 0
  kToMinus,   // TO-: timeout, counter expired
  kRcrPlus,   // RCR+: Configure-Request, good
  kRcrMinus,  // RCR-: Configure-Request, bad
  kRca,       // Configure-Ack
  kRcn,       // Configure-Nak or -Reject
  kRtr,       // Terminate-Request
  kRta,       // Terminate-Ack
  kRuc,       // unknown code
  kRxjPlus,   // RXJ+: Code- or Protocol-Reject, permitted
  kRxjMinus,  // RXJ-: Code- or Protocol-Reject, catastrophic
  kRxr,       // Echo-Request, Echo-Reply, Discard-Request
};
inline constexpr std::size_t kEventCount = 16;

enum class Action : std::uint8_t {  // §4.4
  kNone,
  kTlu,  // This-Layer-Up
  kTld,  // This-Layer-Down
  kTls,  // This-Layer-Started
  kTlf,  // This-Layer-Finished
  kIrc,  // Initialize-Restart-Count
  kZrc,  // Zero-Restart-Count
  kScr,  // Send-Configure-Request
  kSca,  // Send-Configure-Ack
  kScn,  // Send-Configure-Nak/Rej
  kStr,  // Send-Terminate-Request
  kSta,  // Send-Terminate-Ack
  kScj,  // Send-Code-Reject
  kSer,  // Send-Echo-Reply
};

// The footnotes: p passive option, r restart option, x crossed connection. None of them changes
// what this server does: it neither waits passively nor restarts, and a crossed Ack is not told
// apart.
enum class Footnote : std::uint8_t { kNone, kPassive, kRestart, kCrossed };

struct Transition {
  bool legal = false;  // false: the RFC's dash
  std::array<Action, 3> actions{};
  State next = State::kInitial;
  Footnote footnote = Footnote::kNone;
};

namespace automaton_notation {

consteval Transition to(int next, Footnote footnote = Footnote::kNone) {
  return {true, {}, static_cast<State>(next), footnote};
}
consteval Transition act(Action a, int next, Footnote footnote = Footnote::kNone) {
  return {true, {a, Action::kNone, Action::kNone}, static_cast<State>(next), footnote};
}
consteval Transition act(Action a, Action b, int next, Footnote footnote = Footnote::kNone) {
  return {true, {a, b, Action::kNone}, static_cast<State>(next), footnote};
}
consteval Transition act(Action a, Action b, Action c, int next) {
  return {true, {a, b, c}, static_cast<State>(next), Footnote::kNone};
}

inline constexpr Transition no{};
inline constexpr Action irc = Action::kIrc, scr = Action::kScr, sca = Action::kSca,
                        scn = Action::kScn, sta = Action::kSta, str = Action::kStr,
                        tlu = Action::kTlu, tld = Action::kTld, tls = Action::kTls,
                        tlf = Action::kTlf, zrc = Action::kZrc, scj = Action::kScj,
                        ser = Action::kSer;
inline constexpr Footnote p = Footnote::kPassive, r = Footnote::kRestart, x = Footnote::kCrossed;

// clang-format off
inline constexpr std::array<std::array<Transition, kStateCount>, kEventCount> table = {{
//          0 Initial    1 Starting        2 Closed           3 Stopped                 4 Closing      5 Stopping     6 Req-Sent           7 Ack-Rcvd           8 Ack-Sent           9 Opened
/* Up   */ {{to(2),      act(irc,scr,6),   no,                no,                       no,            no,            no,                  no,                  no,                  no}},
/* Down */ {{no,         no,               to(0),             act(tls,1),               to(0),         to(1),         to(1),               to(1),               to(1),               act(tld,1)}},
/* Open */ {{act(tls,1), to(1),            act(irc,scr,6),    to(3,r),                  to(5,r),       to(5,r),       to(6),               to(7),               to(8),               to(9,r)}},
/* Close*/ {{to(0),      act(tlf,0),       to(2),             to(2),                    to(4),         to(4),         act(irc,str,4),      act(irc,str,4),      act(irc,str,4),      act(tld,irc,str,4)}},

/* TO+  */ {{no,         no,               no,                no,                       act(str,4),    act(str,5),    act(scr,6),          act(scr,6),          act(scr,8),          no}},
/* TO-  */ {{no,         no,               no,                no,                       act(tlf,2),    act(tlf,3),    act(tlf,3,p),        act(tlf,3,p),        act(tlf,3,p),        no}},

/* RCR+ */ {{no,         no,               act(sta,2),        act(irc,scr,sca,8),       to(4),         to(5),         act(sca,8),          act(sca,tlu,9),      act(sca,8),          act(tld,scr,sca,8)}},
/* RCR- */ {{no,         no,               act(sta,2),        act(irc,scr,scn,6),       to(4),         to(5),         act(scn,6),          act(scn,7),          act(scn,6),          act(tld,scr,scn,6)}},
/* RCA  */ {{no,         no,               act(sta,2),        act(sta,3),               to(4),         to(5),         act(irc,7),          act(scr,6,x),        act(irc,tlu,9),      act(tld,scr,6,x)}},
/* RCN  */ {{no,         no,               act(sta,2),        act(sta,3),               to(4),         to(5),         act(irc,scr,6),      act(scr,6,x),        act(irc,scr,8),      act(tld,scr,6,x)}},

/* RTR  */ {{no,         no,               act(sta,2),        act(sta,3),               act(sta,4),    act(sta,5),    act(sta,6),          act(sta,6),          act(sta,6),          act(tld,zrc,sta,5)}},
/* RTA  */ {{no,         no,               to(2),             to(3),                    act(tlf,2),    act(tlf,3),    to(6),               to(6),               to(8),               act(tld,scr,6)}},

/* RUC  */ {{no,         no,               act(scj,2),        act(scj,3),               act(scj,4),    act(scj,5),    act(scj,6),          act(scj,7),          act(scj,8),          act(scj,9)}},
/* RXJ+ */ {{no,         no,               to(2),             to(3),                    to(4),         to(5),         to(6),               to(6),               to(8),               to(9)}},
/* RXJ- */ {{no,         no,               act(tlf,2),        act(tlf,3),               act(tlf,2),    act(tlf,3),    act(tlf,3),          act(tlf,3),          act(tlf,3),          act(tld,irc,str,5)}},

/* RXR  */ {{no,         no,               to(2),             to(3),                    to(4),         to(5),         to(6),               to(7),               to(8),               act(ser,9)}},
}};
// clang-format on

}  // namespace automaton_notation

// kAutomaton[event][state]
inline constexpr auto& kAutomaton = automaton_notation::table;

[[nodiscard]] constexpr const Transition& transition(Event event, State state) noexcept {
  return kAutomaton[static_cast<std::size_t>(event)][static_cast<std::size_t>(state)];
}

[[nodiscard]] constexpr std::string_view name_of(State state) noexcept {
  constexpr std::array<std::string_view, kStateCount> kNames = {
      "initial",  "starting", "closed",   "stopped",  "closing",
      "stopping", "req-sent", "ack-rcvd", "ack-sent", "opened"};
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace pns::ppp
