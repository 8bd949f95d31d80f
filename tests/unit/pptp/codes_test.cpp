// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/codes.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::pptp;
using namespace pns::wire::pptp;

TEST_CASE("codes: a refused Outgoing-Call-Request says why", "[pptp][rfc2637-2.8]") {
  const std::tuple<EndReason, OutgoingCallResult, GeneralError> rows[] = {
      {EndReason::no_session_slot, OutgoingCallResult::kGeneralError, GeneralError::kNoResource},
      {EndReason::no_call_id, OutgoingCallResult::kGeneralError, GeneralError::kNoResource},
      {EndReason::too_many_calls, OutgoingCallResult::kGeneralError, GeneralError::kNoResource},
      {EndReason::shutting_down, OutgoingCallResult::kGeneralError, GeneralError::kNoResource},
      {EndReason::call_id_in_use, OutgoingCallResult::kGeneralError, GeneralError::kBadCallId},
      {EndReason::bad_call_request, OutgoingCallResult::kGeneralError, GeneralError::kBadValue},
      {EndReason::internal_error, OutgoingCallResult::kGeneralError, GeneralError::kPacError},
      {EndReason::peer_call_id_busy, OutgoingCallResult::kBusy, GeneralError::kNone},
      {EndReason::source_limit, OutgoingCallResult::kBusy, GeneralError::kNone},
      {EndReason::call_rate, OutgoingCallResult::kBusy, GeneralError::kNone},
      {EndReason::admission_timeout, OutgoingCallResult::kBusy, GeneralError::kNone},
      {EndReason::admission_queue_full, OutgoingCallResult::kBusy, GeneralError::kNone},
      {EndReason::draining, OutgoingCallResult::kDoNotAccept, GeneralError::kNone},
      {EndReason::operator_cleared, OutgoingCallResult::kDoNotAccept, GeneralError::kNone}};
  for (const auto& [reason, result, error] : rows) {
    INFO(name_of(reason));
    CHECK(outgoing_reply_codes(reason).result == result);
    CHECK(outgoing_reply_codes(reason).error == error);
  }
}

TEST_CASE("codes: a refused Incoming-Call-Request says why", "[pptp][rfc2637-2.10]") {
  CHECK(incoming_reply_codes(EndReason::incoming_call_refused).result ==
        IncomingCallResult::kDoNotAccept);
  CHECK(incoming_reply_codes(EndReason::peer_call_id_busy).result ==
        IncomingCallResult::kDoNotAccept);
  CHECK(incoming_reply_codes(EndReason::no_session_slot).result ==
        IncomingCallResult::kGeneralError);
  CHECK(incoming_reply_codes(EndReason::no_session_slot).error == GeneralError::kNoResource);
}

TEST_CASE("codes: a disconnect says what ended the call", "[pptp][rfc2637-2.13]") {
  const std::pair<EndReason, DisconnectResult> rows[] = {
      {EndReason::peer_cleared_call, DisconnectResult::kRequest},
      {EndReason::peer_disconnected, DisconnectResult::kLostCarrier},
      {EndReason::lcp_echo_timeout, DisconnectResult::kLostCarrier},
      {EndReason::no_address, DisconnectResult::kGeneralError},
      {EndReason::shutting_down, DisconnectResult::kAdminShutdown},
      {EndReason::control_restarted, DisconnectResult::kAdminShutdown},
      {EndReason::replaced, DisconnectResult::kAdminShutdown},
      {EndReason::auth_failed, DisconnectResult::kAdminShutdown}};
  for (const auto& [reason, result] : rows) {
    INFO(name_of(reason));
    CHECK(disconnect_codes(reason).result == result);
  }
}

TEST_CASE("codes: a stop says whether it is the version, us, or nothing special",
          "[pptp][rfc2637-2.3]") {
  CHECK(stop_reason_code(EndReason::bad_protocol_version) == StopReason::kStopProtocol);
  CHECK(stop_reason_code(EndReason::shutting_down) == StopReason::kStopLocalShutdown);
  CHECK(stop_reason_code(EndReason::call_reply_timeout) == StopReason::kNone);
}

TEST_CASE("codes: every code has the RFC's name", "[pptp][rfc2637-2.16]") {
  CHECK(name_of(GeneralError::kNone) == "none");
  CHECK(name_of(GeneralError::kNotConnected) == "not-connected");
  CHECK(name_of(GeneralError::kBadFormat) == "bad-format");
  CHECK(name_of(GeneralError::kBadValue) == "bad-value");
  CHECK(name_of(GeneralError::kNoResource) == "no-resource");
  CHECK(name_of(GeneralError::kBadCallId) == "bad-call-id");
  CHECK(name_of(GeneralError::kPacError) == "pac-error");
  CHECK(name_of(static_cast<GeneralError>(7)) == "unknown");
  CHECK(name_of(StartResult::kSuccess) == "success");
  CHECK(name_of(StartResult::kBadVersion) == "bad-version");
  CHECK(name_of(StopReason::kStopLocalShutdown) == "stop-local-shutdown");
  CHECK(name_of(StopResult::kGeneralError) == "general-error");
  CHECK(name_of(EchoResult::kOk) == "ok");
  CHECK(name_of(OutgoingCallResult::kConnected) == "connected");
  CHECK(name_of(OutgoingCallResult::kNoCarrier) == "no-carrier");
  CHECK(name_of(OutgoingCallResult::kBusy) == "busy");
  CHECK(name_of(OutgoingCallResult::kNoDialTone) == "no-dial-tone");
  CHECK(name_of(OutgoingCallResult::kTimeOut) == "time-out");
  CHECK(name_of(OutgoingCallResult::kDoNotAccept) == "do-not-accept");
  CHECK(name_of(static_cast<OutgoingCallResult>(0)) == "unknown");
  CHECK(name_of(static_cast<OutgoingCallResult>(255)) == "unknown");
  CHECK(name_of(IncomingCallResult::kConnect) == "connect");
  CHECK(name_of(IncomingCallResult::kDoNotAccept) == "do-not-accept");
  CHECK(name_of(DisconnectResult::kLostCarrier) == "lost-carrier");
  CHECK(name_of(DisconnectResult::kRequest) == "request");
}
