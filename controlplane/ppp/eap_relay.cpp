// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/eap_relay.hpp"

#include <utility>

#include "controlplane/ppp/auth_message.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

using wire::EapCode;
using wire::EapType;

void EapRelay::start(Context& context) {
  stage_ = Stage::kIdentity;
  request_identity(context);
}

void EapRelay::on_timer(Context& context) {
  if (is_overdue(context) && !repeat_request(context)) refuse(EndReason::auth_timeout, context);
}

// ---- Responses

void EapRelay::on_packet(const wire::ControlPacket& packet, Context& context) {
  const auto response = read_response(packet, context);
  if (!response || stage_ == Stage::kDeciding) return;
  if (stage_ == Stage::kIdentity) {
    if (static_cast<EapType>(response->type) != EapType::kIdentity) return;
    // RFC 3579 §2.1: the identity is the User-Name of every request.
    if (response->data.empty() || response->data.size() > kMaximumName)
      return refuse(EndReason::auth_malformed, context);
    identity_ = to_text(response->data);
  }
  stop_timer();
  stage_ = Stage::kDeciding;
  context.observer.credentials(
      {.user = identity_,
       .credentials =
           model::RelayedCredentials{.message = {packet.whole.begin(), packet.whole.end()},
                                     .state = std::move(state_)},
       .peer = {}});
}

// ---- Answers of AAA

bool EapRelay::challenge(const model::AuthChallenge& challenge, Context& context) {
  const auto request = wire::parse_control_packet(challenge.message);
  if (!request || request->code != static_cast<std::uint8_t>(EapCode::kRequest) ||
      request->whole.size() > context.peer_mru) {
    refuse(EndReason::auth_bad_challenge, context);
    return true;
  }
  state_ = challenge.state;
  stage_ = Stage::kRelaying;
  send_request(
      request->identifier, request->data,
      challenge.repeat_after ? Duration(*challenge.repeat_after) : settings().restart_timer,
      context);
  return true;
}

void EapRelay::grant(const model::AuthGrant&, Context& context) { accept(context); }

void EapRelay::deny(const model::AuthDenial& denial, Context& context) {
  refuse(denial.reason, context);
}

}  // namespace pns::ppp
