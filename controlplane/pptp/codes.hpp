// SPDX-License-Identifier: BSD-3-Clause
//
// From an EndReason to the codes that tell a peer of it (RFC 2637 §2.3, §2.8, §2.10, §2.13, §2.16).
// Every reason has codes, also one that never comes that way. And the reading of a peer's codes.
// Pure functions, any thread.
#pragma once

#include <cstdint>

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

// The Result Code of a peer's Reply. RFC 2637 gives success as 1; some PACs send 0.
[[nodiscard]] constexpr bool is_success(std::uint8_t result_code) noexcept {
  return result_code <= 1;
}

}  // namespace pns::pptp
