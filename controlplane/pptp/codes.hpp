// SPDX-License-Identifier: BSD-3-Clause
//
// From an EndReason to the codes that tell a peer of it (RFC 2637 §2.3, §2.8, §2.10, §2.13, §2.16).
// Every reason has codes, also one that never comes that way. Pure functions, any thread.
#pragma once

#include "pns/base/end_reason.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

template <class Result>
struct Codes {
  Result result;
  wire::pptp::GeneralError error = wire::pptp::GeneralError::kNone;
};

// Outgoing-Call-Reply: never kConnected.
[[nodiscard]] Codes<wire::pptp::OutgoingCallResult> outgoing_reply_codes(EndReason reason) noexcept;
// Incoming-Call-Reply: never kConnect.
[[nodiscard]] Codes<wire::pptp::IncomingCallResult> incoming_reply_codes(EndReason reason) noexcept;
// Call-Disconnect-Notify.
[[nodiscard]] Codes<wire::pptp::DisconnectResult> disconnect_codes(EndReason reason) noexcept;
// Stop-Control-Connection-Request.
[[nodiscard]] wire::pptp::StopReason stop_reason_code(EndReason reason) noexcept;

}  // namespace pns::pptp
