// SPDX-License-Identifier: BSD-3-Clause
//
// The actions that a pptp::ControlConnection asks of its caller (subscriber::CallControl), in
// order. It does no I/O.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/model/call_kind.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::model {

// Write one control message, whole, in a TCP segment of its own.
struct SendMessage {
  wire::pptp::Message message;
};

// The peer asks for a call (Outgoing-Call-Request, RFC 2637 §2.7, or Incoming-Call-Request, §2.9).
// Answer with Calls::accept or Calls::refuse, naming the offer; at once or
// later.
struct OfferCall {
  std::uint32_t offer = 0;  // names this request on this connection
  PeerCallId peer_call_id;
  std::uint16_t serial_number = 0;
  std::uint16_t peer_window = 0;  // packets the peer can receive; 0: not known yet (incoming)
  std::uint32_t maximum_bps = 0;
  CallKind kind = CallKind::kSubscriber;
};

// An offer that was not answered yet is over: do not answer it. kNone: RefuseCall tells why.
struct WithdrawOffer {
  std::uint32_t offer = 0;
  EndReason reason = EndReason::kNone;
};

// The peer's request for a call was refused, for this reason; the Reply that says so stands before
// it.
struct RefuseCall {
  EndReason reason;
};

// The peer's side of the call stands: Incoming-Call-Connected, or the Reply to a call of ours. PPP
// may start.
struct ConnectCall {
  OurCallId our_call_id;
  PeerCallId peer_call_id;
  std::uint16_t peer_window = 0;    // packets the peer can receive
  std::uint32_t connect_speed = 0;  // bits per second
};

// The codes with which a peer refused or ended a call (§2.8, §2.10, §2.13); zero: none came.
struct PeerCodes {
  std::uint8_t result = 0;
  std::uint8_t error = 0;   // GeneralError
  std::uint16_t cause = 0;  // of the telephone network (Q.931)
  friend bool operator==(const PeerCodes&, const PeerCodes&) = default;
};

// The call is over: free its session. Messages that tell the peer so stand before it.
struct EndCall {
  OurCallId our_call_id;
  EndReason reason;
  PeerCodes codes{};
};

// WAN-Error-Notify changed what is known of a call's line.
struct ReportWanErrors {
  OurCallId our_call_id;
  WanErrors totals;
};

// Close the TCP connection once what was sent is flushed. Every call was ended before.
struct CloseConnection {
  EndReason reason;
};

using ConnectionAction = std::variant<SendMessage, OfferCall, WithdrawOffer, RefuseCall,
                                      ConnectCall, EndCall, ReportWanErrors, CloseConnection>;
using ConnectionActions = std::vector<ConnectionAction>;

inline void send(ConnectionActions& out, wire::pptp::Message message) {
  out.push_back(SendMessage{std::move(message)});
}

}  // namespace pns::model
