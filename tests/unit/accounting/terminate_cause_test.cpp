// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/terminate_cause.hpp"

#include <catch2/catch.hpp>

using namespace pns;
using namespace pns::accounting;

TEST_CASE("terminate cause: the reasons that billing tells apart", "[accounting]") {
  CHECK(terminate_cause(EndReason::peer_disconnected) == TerminateCause::kUserRequest);
  CHECK(terminate_cause(EndReason::peer_cleared_call) == TerminateCause::kUserRequest);
  CHECK(terminate_cause(EndReason::lcp_echo_timeout) == TerminateCause::kLostCarrier);
  CHECK(terminate_cause(EndReason::idle_timeout) == TerminateCause::kIdleTimeout);
  CHECK(terminate_cause(EndReason::quota_used) == TerminateCause::kNasRequest);
  CHECK(terminate_cause(EndReason::session_timeout) == TerminateCause::kSessionTimeout);
  CHECK(terminate_cause(EndReason::operator_cleared) == TerminateCause::kAdminReset);
  CHECK(terminate_cause(EndReason::radius_disconnected) == TerminateCause::kAdminReset);
  CHECK(terminate_cause(EndReason::shutting_down) == TerminateCause::kAdminReboot);
  CHECK(terminate_cause(EndReason::control_restarted) == TerminateCause::kNasReboot);
  CHECK(terminate_cause(EndReason::auth_failed) == TerminateCause::kUserError);
  CHECK(terminate_cause(EndReason::internal_error) == TerminateCause::kNasError);
}

TEST_CASE("terminate cause: every reason has one that RFC 2866 knows", "[accounting]") {
  for (std::size_t i = 0; i < kEndReasonCount; ++i) {
    const auto cause = static_cast<unsigned>(terminate_cause(static_cast<EndReason>(i)));
    CHECK(cause >= 1);
    CHECK(cause <= 18);
  }
}
