// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/codes.hpp"

namespace pns::pptp {

using wire::pptp::DisconnectResult;
using wire::pptp::GeneralError;
using wire::pptp::IncomingCallResult;
using wire::pptp::OutgoingCallResult;
using wire::pptp::StopReason;

namespace {

// kNone: the reason is no general error (§2.16).
GeneralError general_error(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::no_session_slot:
    case EndReason::no_call_id:
    case EndReason::no_address:
    case EndReason::session_limit:
    case EndReason::address_in_use:
    case EndReason::address_not_leasable:
    case EndReason::unknown_pool:
    case EndReason::too_many_calls:
    case EndReason::dataplane_refused:
    case EndReason::dataplane_unavailable:
    case EndReason::store_failed:
    case EndReason::memory_limit:
    case EndReason::control_restarted:
    case EndReason::shutting_down:
      return GeneralError::kNoResource;
    case EndReason::call_id_in_use:
      return GeneralError::kBadCallId;
    case EndReason::bad_call_request:
      return GeneralError::kBadValue;
    case EndReason::internal_error:
      return GeneralError::kPacError;
    default:
      return GeneralError::kNone;
  }
}

}  // namespace

Codes<OutgoingCallResult> outgoing_reply_codes(EndReason reason) noexcept {
  if (const GeneralError error = general_error(reason); error != GeneralError::kNone)
    return {OutgoingCallResult::kGeneralError, error};
  switch (reason) {
    case EndReason::peer_call_id_busy:
    case EndReason::source_limit:
    case EndReason::call_rate:
    case EndReason::admission_timeout:
    case EndReason::admission_queue_full:
      return {OutgoingCallResult::kBusy};
    default:
      break;
  }
  return {OutgoingCallResult::kDoNotAccept};
}

Codes<IncomingCallResult> incoming_reply_codes(EndReason reason) noexcept {
  if (const GeneralError error = general_error(reason); error != GeneralError::kNone)
    return {IncomingCallResult::kGeneralError, error};
  return {IncomingCallResult::kDoNotAccept};
}

Codes<DisconnectResult> disconnect_codes(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::peer_cleared_call:
      return {DisconnectResult::kRequest};
    case EndReason::peer_disconnected:
    case EndReason::lcp_echo_timeout:
    case EndReason::lcp_timeout:
    case EndReason::lcp_loop:
    case EndReason::set_up_timeout:
      return {DisconnectResult::kLostCarrier};
    case EndReason::shutting_down:
    case EndReason::control_restarted:
    case EndReason::draining:
      return {DisconnectResult::kAdminShutdown};
    default:
      break;
  }
  if (const GeneralError error = general_error(reason); error != GeneralError::kNone)
    return {DisconnectResult::kGeneralError, error};
  return {DisconnectResult::kAdminShutdown};
}

StopReason stop_reason_code(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::shutting_down:
    case EndReason::control_restarted:
    case EndReason::draining:
      return StopReason::kStopLocalShutdown;
    case EndReason::bad_protocol_version:
      return StopReason::kStopProtocol;
    default:
      return StopReason::kNone;
  }
}

}  // namespace pns::pptp
