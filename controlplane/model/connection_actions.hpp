// SPDX-License-Identifier: BSD-3-Clause
//
// What a pptp::ControlConnection asks its caller (session::Registry) to do, in order. It does no
// I/O.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::model {

// Write one control message, whole, in a TCP segment of its own.
struct SendMessage {
  wire::pptp::Message message;
};

// The peer asks for a call (Outgoing-Call-Request, RFC 2637 §2.7). Answer with
// ControlConnection::on_call_accepted or on_call_refused, naming the offer; at once or later.
struct OfferCall {
  std::uint32_t offer = 0;  // names this request on this connection
  PeerCallId peer_call_id;
  std::uint16_t serial_number = 0;
  std::uint16_t peer_window = 0;  // packets the peer can receive
  std::uint32_t maximum_bps = 0;
};

// The peer took back a call that was not answered yet: do not answer it.
struct WithdrawOffer {
  std::uint32_t offer = 0;
};

// The peer's request for a call was refused, for this reason; the Reply that says so stands before
// it.
struct RefuseCall {
  EndReason reason;
};

// The call is over: free its session. Messages that tell the peer so stand before it.
struct EndCall {
  OurCallId our_call_id;
  EndReason reason;
};

// Close the TCP connection once what was sent is flushed. Every call was ended before.
struct CloseConnection {
  EndReason reason;
};

using ConnectionAction =
    std::variant<SendMessage, OfferCall, WithdrawOffer, RefuseCall, EndCall, CloseConnection>;
using ConnectionActions = std::vector<ConnectionAction>;

}  // namespace pns::model
