// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/terminate_cause.hpp"

namespace pns::accounting {

// Without a default: a new reason does not compile before it has a cause.
TerminateCause terminate_cause(EndReason reason) noexcept {
  switch (reason) {
    case EndReason::peer_disconnected:
    case EndReason::peer_cleared_call:
    case EndReason::peer_call_disconnected:
    case EndReason::peer_stopped_connection:
    case EndReason::peer_closed_tcp:
    case EndReason::call_refused_by_peer:
    case EndReason::mppe_closed:
      return TerminateCause::kUserRequest;
    case EndReason::peer_reset_tcp:
    case EndReason::connection_echo_timeout:
    case EndReason::connection_write_stalled:
    case EndReason::lcp_echo_timeout:
    case EndReason::dead_data_path:
      return TerminateCause::kLostCarrier;
    case EndReason::idle_timeout:
    case EndReason::connection_idle:
      return TerminateCause::kIdleTimeout;
    case EndReason::session_timeout:
      return TerminateCause::kSessionTimeout;
    case EndReason::operator_cleared:
      return TerminateCause::kAdminReset;
    case EndReason::shutting_down:
    case EndReason::draining:
      return TerminateCause::kAdminReboot;
    case EndReason::bad_magic_cookie:
    case EndReason::bad_length:
    case EndReason::bad_message_type:
    case EndReason::unknown_control_type:
    case EndReason::bad_protocol_version:
    case EndReason::start_repeated:
    case EndReason::message_out_of_order:
    case EndReason::message_flood:
    case EndReason::bad_call_request:
    case EndReason::lcp_timeout:
    case EndReason::lcp_loop:
    case EndReason::lcp_refused:
    case EndReason::lcp_no_convergence:
    case EndReason::code_rejected:
    case EndReason::ccp_timeout:
    case EndReason::ipcp_timeout:
    case EndReason::ipcp_refused:
    case EndReason::ncp_no_convergence:
    case EndReason::mppe_refused:
    case EndReason::connection_setup_timeout:
    case EndReason::call_reply_timeout:
    case EndReason::set_up_timeout:
    case EndReason::start_refused:
    case EndReason::collision_lost:
    case EndReason::peer_call_id_busy:
      return TerminateCause::kPortError;
    case EndReason::kNone:
    case EndReason::kCount:
    case EndReason::internal_error:
    case EndReason::store_failed:
    case EndReason::dataplane_refused:
    case EndReason::dataplane_unavailable:
      return TerminateCause::kNasError;
    case EndReason::replaced:
    case EndReason::address_lost:
    case EndReason::connection_limit:
    case EndReason::connection_shed:
    case EndReason::call_id_in_use:
    case EndReason::incoming_call_refused:
    case EndReason::place_timeout:
    case EndReason::connect_failed:
    case EndReason::source_denied:
    case EndReason::source_connections:
      return TerminateCause::kNasRequest;
    case EndReason::control_restarted:
      return TerminateCause::kNasReboot;
    case EndReason::no_call_id:
    case EndReason::no_session_slot:
    case EndReason::too_many_calls:
    case EndReason::no_address:
    case EndReason::too_many_placed_calls:
    case EndReason::memory_limit:
    case EndReason::accounting_full:
    case EndReason::source_limit:
    case EndReason::admission_timeout:
    case EndReason::admission_queue_full:
    case EndReason::descriptor_limit:
    case EndReason::session_limit:
    case EndReason::address_in_use:
    case EndReason::address_not_leasable:
    case EndReason::unknown_pool:
    case EndReason::call_rate:
    case EndReason::route_in_use:
    case EndReason::route_not_leasable:
    case EndReason::auth_unavailable:
    case EndReason::auth_no_proof:
    case EndReason::auth_service_type:
    case EndReason::auth_bad_keys:
      return TerminateCause::kServiceUnavailable;
    case EndReason::auth_no_common_method:
    case EndReason::auth_timeout:
    case EndReason::auth_failed:
    case EndReason::auth_malformed:
    case EndReason::no_mppe_keys:
    case EndReason::auth_no_cleartext:
    case EndReason::auth_lm_response:
    case EndReason::auth_account_disabled:
    case EndReason::auth_password_expired:
    case EndReason::auth_change_refused:
    case EndReason::auth_throttled:
      return TerminateCause::kUserError;
  }
  return TerminateCause::kNasError;
}

}  // namespace pns::accounting
