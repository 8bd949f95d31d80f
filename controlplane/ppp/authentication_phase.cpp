// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/authentication_phase.hpp"

#include <utility>

namespace pns::ppp {
namespace {

using wire::PppProtocol;

// The protocol that carries a method; 0 for none.
std::uint16_t protocol_of(model::AuthMethod method) noexcept {
  switch (method) {
    case model::AuthMethod::kNone:
      return 0;
    case model::AuthMethod::kPap:
      return static_cast<std::uint16_t>(PppProtocol::kPap);
    case model::AuthMethod::kEap:
      return static_cast<std::uint16_t>(PppProtocol::kEap);
    default:
      return static_cast<std::uint16_t>(PppProtocol::kChap);
  }
}

}  // namespace

// ---- The phase

bool AuthenticationPhase::begin(model::AuthMethod method, const LinkSettings& settings) {
  side_ = settings.make_authenticator(method, settings);
  challenges_ = 0;
  denied_ = EndReason::kNone;
  return side_ != nullptr;
}

bool AuthenticationPhase::begin_again(const LinkSettings& settings) {
  if (again_ || method_ == model::AuthMethod::kNone || method_ == model::AuthMethod::kPap)
    return false;
  again_ = begin(method_, settings);
  return again_;
}

void AuthenticationPhase::leave() noexcept {
  side_.reset();
  again_ = false;
  granted_.reset();
  question_stale_ = question_open_;
  held_question_.reset();
  answer_by_.reset();
  user_.clear();
  method_ = model::AuthMethod::kNone;
}

void AuthenticationPhase::settle() {
  if (!side_ || again_) return;
  if (auto verdict = side_->settled())
    side_ = std::make_unique<VerdictRepeater>(std::move(*verdict));
}

void AuthenticationPhase::restore(const std::string& user, model::AuthMethod method) {
  user_ = user;
  method_ = method;
}

// ---- The peer

std::uint16_t AuthenticationPhase::protocol() const noexcept {
  return side_ ? static_cast<std::uint16_t>(side_->protocol()) : protocol_of(method_);
}

void AuthenticationPhase::on_packet(const wire::ControlPacket& packet, Context& context) {
  if (side_) side_->on_packet(packet, context);
}

bool AuthenticationPhase::speaks(std::uint16_t protocol) const noexcept {
  return side_ && protocol == static_cast<std::uint16_t>(side_->protocol());
}

// ---- AAA

void AuthenticationPhase::ask(model::AuthRequest request, const LinkSettings& settings,
                              Context& context) {
  denied_ = EndReason::kNone;
  answer_by_ = context.now + settings.auth_decision_timeout;
  if (question_open_) {
    held_question_ = std::make_unique<model::AuthRequest>(std::move(request));
    return;
  }
  question_open_ = true;
  context.add(model::Authenticate{std::move(request)});
}

bool AuthenticationPhase::take_answer(Context& context) {
  if (!question_open_) return false;
  question_open_ = false;
  if (question_stale_) {
    question_stale_ = false;
    if (held_question_) {
      question_open_ = true;
      context.add(model::Authenticate{std::move(*held_question_)});
      held_question_.reset();
    }
    return false;
  }
  answer_by_.reset();
  return side_ != nullptr;
}

bool AuthenticationPhase::challenge(const model::AuthChallenge& challenge, Context& context) {
  return ++challenges_ <= kMaximumChallenges && side_->challenge(challenge, context);
}

void AuthenticationPhase::grant(const model::AuthGrant& grant,
                                const model::NetworkParameters& network, Context& context) {
  // Not make_unique: clang 14 takes no parentheses for an aggregate.
  granted_ = std::unique_ptr<Granted>(new Granted{grant, network});
  side_->grant(grant, context);
}

void AuthenticationPhase::deny(model::AuthDenial denial, Context& context) {
  if (denial.reason == EndReason::kNone) denial.reason = EndReason::auth_failed;
  denied_ = denial.reason;
  // A router that is told of a wrong password may stop dialling.
  if (!denial.is_verdict) return context.observer.auth_failed(denial.reason);
  side_->deny(denial, context);
}

std::unique_ptr<AuthenticationPhase::Granted> AuthenticationPhase::log_in() {
  user_ = granted_->grant.user;
  method_ = side_->method();
  return std::move(granted_);
}

// ---- Time

std::optional<TimePoint> AuthenticationPhase::deadline() const noexcept {
  return side_ ? side_->deadline() : std::nullopt;
}

void AuthenticationPhase::on_timer(Context& context) {
  if (side_) side_->on_timer(context);
}

void AuthenticationPhase::on_answer_timer(Context& context) {
  if (!answer_by_ || context.now < *answer_by_) return;
  answer_by_.reset();
  context.observer.auth_failed(EndReason::auth_unavailable);
}

}  // namespace pns::ppp
