// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/eap_side.hpp"

#include <algorithm>
#include <array>

#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

using wire::EapCode;

// ---- Requests

void EapSide::request_identity(Context& context) {
  const std::array type = {static_cast<std::byte>(wire::EapType::kIdentity)};
  send_request(static_cast<std::uint8_t>(context.random.next_u32() + 1), type,
               settings_.first_restart_timer, context);
}

void EapSide::send_request(std::uint8_t identifier, Bytes data, Duration repeat_after,
                           Context& context) {
  identifier_ = identifier;
  request_.assign(data.begin(), data.end());
  repeat_after_ = repeat_after;
  requests_sent_ = 0;
  send(context);
}

void EapSide::send(Context& context) {
  context.send(protocol(), static_cast<std::uint8_t>(EapCode::kRequest), identifier_, request_);
  timer_ = context.now + repeat_after_;
  repeat_after_ = std::max(repeat_after_, settings_.restart_timer);
  ++requests_sent_;
}

bool EapSide::repeat_request(Context& context) {
  if (requests_sent_ >= settings_.max_configure) return false;
  send(context);
  return true;
}

bool EapSide::is_overdue(const Context& context) noexcept {
  if (!timer_ || context.now < *timer_) return false;
  timer_.reset();
  return true;
}

// ---- Responses

std::optional<wire::EapData> EapSide::read_response(const wire::ControlPacket& packet,
                                                    Context& context) const {
  // Requests, Success and Failure are the authenticator's to send (RFC 3748 §4).
  if (packet.code != static_cast<std::uint8_t>(EapCode::kResponse) ||
      packet.identifier != identifier_)
    return std::nullopt;
  if (verdict_) {
    send_verdict(context);
    return std::nullopt;
  }
  return wire::EapData::parse(packet.data);
}

// ---- Verdicts

void EapSide::accept(Context& context) {
  timer_.reset();
  verdict_ = EapCode::kSuccess;
  context.observer.before_auth_success();
  send_verdict(context);
  context.observer.authenticated();
}

void EapSide::refuse(EndReason reason, Context& context) {
  timer_.reset();
  verdict_ = EapCode::kFailure;
  send_verdict(context);
  context.observer.auth_failed(reason);
}

std::optional<SettledVerdict> EapSide::settled() const {
  return SettledVerdict{.protocol = protocol(),
                        .method = method(),
                        .question_code = static_cast<std::uint8_t>(EapCode::kResponse),
                        .identifier = identifier_,
                        .answer_code = static_cast<std::uint8_t>(EapCode::kSuccess),
                        .answer = {}};
}

void EapSide::send_verdict(Context& context) const {
  context.send(protocol(), static_cast<std::uint8_t>(*verdict_), identifier_, {});
}

}  // namespace pns::ppp
