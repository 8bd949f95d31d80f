// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/eap_relay.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "controlplane/ppp/auth_message.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

using wire::EapCode;
using wire::EapType;

void EapRelay::start(Context& context) {
  stage_ = Stage::kIdentity;
  const std::array type = {static_cast<std::byte>(EapType::kIdentity)};
  send_request(static_cast<std::uint8_t>(context.random.next_u32()), type,
               settings_.first_restart_timer, context);
}

// ---- Requests

void EapRelay::send_request(std::uint8_t identifier, Bytes data, Duration repeat_after,
                            Context& context) {
  identifier_ = identifier;
  request_.assign(data.begin(), data.end());
  repeat_after_ = repeat_after;
  requests_sent_ = 0;
  repeat_request(context);
}

void EapRelay::repeat_request(Context& context) {
  context.send(wire::PppProtocol::kEap, static_cast<std::uint8_t>(EapCode::kRequest), identifier_,
               request_);
  timer_ = context.now + repeat_after_;
  repeat_after_ = std::max(repeat_after_, Duration(settings_.restart_timer));
  ++requests_sent_;
}

void EapRelay::on_timer(Context& context) {
  if (!timer_ || context.now < *timer_) return;
  timer_.reset();
  if (requests_sent_ < settings_.max_configure) return repeat_request(context);
  refuse(EndReason::auth_timeout, context);
}

// ---- Responses

void EapRelay::on_packet(const wire::ControlPacket& packet, Context& context) {
  // Requests, Success and Failure are the authenticator's to send (RFC 3748 §4).
  if (packet.code != static_cast<std::uint8_t>(EapCode::kResponse) ||
      packet.identifier != identifier_)
    return;
  if (stage_ == Stage::kAccepted || stage_ == Stage::kRefused) return send_verdict(context);
  const auto response = wire::EapData::parse(packet.data);
  if (!response || stage_ == Stage::kDeciding) return;
  if (stage_ == Stage::kIdentity) {
    if (static_cast<EapType>(response->type) != EapType::kIdentity) return;
    // RFC 3579 §2.1: the identity is the User-Name of every request.
    if (response->data.empty() || response->data.size() > kMaximumName)
      return refuse(EndReason::auth_malformed, context);
    identity_ = to_text(response->data);
  }
  timer_.reset();
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
  send_request(request->identifier, request->data,
               challenge.repeat_after ? Duration(*challenge.repeat_after) : settings_.restart_timer,
               context);
  return true;
}

void EapRelay::grant(const model::AuthGrant&, Context& context) {
  timer_.reset();
  stage_ = Stage::kAccepted;
  context.observer.before_auth_success();
  send_verdict(context);
  context.observer.authenticated();
}

void EapRelay::deny(const model::AuthDenial& denial, Context& context) {
  refuse(denial.reason, context);
}

void EapRelay::refuse(EndReason reason, Context& context) {
  timer_.reset();
  stage_ = Stage::kRefused;
  send_verdict(context);
  context.observer.auth_failed(reason);
}

std::optional<SettledVerdict> EapRelay::settled() const {
  return SettledVerdict{.protocol = protocol(),
                        .method = method(),
                        .question_code = static_cast<std::uint8_t>(EapCode::kResponse),
                        .identifier = identifier_,
                        .answer_code = static_cast<std::uint8_t>(EapCode::kSuccess),
                        .answer = {}};
}

void EapRelay::send_verdict(Context& context) const {
  context.send(
      wire::PppProtocol::kEap,
      static_cast<std::uint8_t>(stage_ == Stage::kAccepted ? EapCode::kSuccess : EapCode::kFailure),
      identifier_, {});
}

}  // namespace pns::ppp
