// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/auth_chap.hpp"

#include <utility>

#include "controlplane/ppp/auth_message.hpp"
#include "pns/wire/ppp_auth.hpp"

namespace pns::ppp {
namespace {

std::vector<std::byte> challenge_body(Bytes challenge, const std::string& name) {
  std::vector<std::byte> body(1 + challenge.size() + kMaximumOurName);
  Writer writer(body);
  wire::ChapValue{challenge, our_name(name)}.write(writer);
  body.resize(writer.size());
  return body;
}

}  // namespace

// ---- What all have in common

void ChapAuthenticator::start(Context& context) {
  challenge_body_ = make_challenge(context.random);
  identifier_ = static_cast<std::uint8_t>(context.random.next_u32());
  stage_ = Stage::kChallenged;
  challenges_sent_ = 0;
  failed_ = EndReason::kNone;
  send_challenge(context);
}

void ChapAuthenticator::send_challenge(Context& context) {
  context.send(wire::PppProtocol::kChap, static_cast<std::uint8_t>(wire::ChapCode::kChallenge),
               identifier_, challenge_body_);
  timer_ = context.now +
           (challenges_sent_ == 0 ? settings_.first_restart_timer : settings_.restart_timer);
  ++challenges_sent_;
}

void ChapAuthenticator::on_timer(Context& context) {
  if (!timer_ || context.now < *timer_) return;
  timer_.reset();
  if (stage_ == Stage::kRetrying) {
    stage_ = Stage::kDecided;
    context.observer.auth_failed(failed_);
  } else if (stage_ == Stage::kChallenged) {
    if (challenges_sent_ < settings_.max_configure) return send_challenge(context);
    stage_ = Stage::kIdle;
    context.observer.auth_failed(EndReason::auth_timeout);
  }
}

void ChapAuthenticator::on_packet(const wire::ControlPacket& packet, Context& context) {
  // Success, Failure and Challenge are ours to send. An Identifier other than the one asked is no
  // answer (RFC 1994 §4.1).
  const bool is_response = packet.code == static_cast<std::uint8_t>(wire::ChapCode::kResponse);
  const bool answers_failure =
      stage_ == Stage::kRetrying && packet.identifier == static_cast<std::uint8_t>(identifier_ + 1);
  std::expected<model::AuthRequest, EndReason> request = std::unexpected(EndReason::kNone);
  if (answers_failure && !(is_response && awaits_response())) {
    auto other = on_other_code(packet.code, packet.data, packet.identifier);
    if (!other) return;
    request = std::move(*other);
  } else if (is_response && (answers_failure ||
                             (stage_ == Stage::kChallenged && packet.identifier == identifier_))) {
    request = on_response(packet.data, packet.identifier);
  } else {
    // RFC 1994 §4.2: a repeated packet is told the same again. Nothing in it is looked at, so
    // nothing in it can change the verdict.
    const bool told = stage_ == Stage::kRetrying || stage_ == Stage::kDecided;
    if (told && packet.code == answered_code_ && packet.identifier == identifier_)
      send_verdict(context);
    return;
  }
  identifier_ = packet.identifier;
  answered_code_ = packet.code;
  stage_ = Stage::kDeciding;
  timer_.reset();
  if (request)
    context.observer.credentials(std::move(*request));
  else
    deny({.reason = request.error()}, context);
}

void ChapAuthenticator::grant(const model::AuthGrant& grant, Context& context) {
  stage_ = Stage::kDecided;
  timer_.reset();
  verdict_ = wire::ChapCode::kSuccess;
  verdict_text_ = success_text(grant);
  context.observer.before_auth_success();
  send_verdict(context);
  context.observer.authenticated();
}

void ChapAuthenticator::deny(const model::AuthDenial& denial, Context& context) {
  Failure told = failure(denial, context.random);
  verdict_ = wire::ChapCode::kFailure;
  verdict_text_ = std::move(told.text);
  failed_ = denial.reason;
  send_verdict(context);
  timer_.reset();
  if (told.is_last) {
    stage_ = Stage::kDecided;
    context.observer.auth_failed(failed_);
    return;
  }
  stage_ = Stage::kRetrying;
  timer_ = context.now + settings_.auth_retry_timeout;
}

void ChapAuthenticator::send_verdict(Context& context) const {
  context.send(wire::PppProtocol::kChap, static_cast<std::uint8_t>(verdict_), identifier_,
               as_octets(verdict_text_));
}

std::optional<SettledVerdict> ChapAuthenticator::settled() const {
  const Bytes text = as_octets(verdict_text_);
  return SettledVerdict{.protocol = protocol(),
                        .method = method(),
                        .question_code = answered_code_,
                        .identifier = identifier_,
                        .answer_code = static_cast<std::uint8_t>(verdict_),
                        .answer = {text.begin(), text.end()}};
}

// ---- MD5

std::vector<std::byte> ChapMd5Authenticator::make_challenge(RandomSource& random) {
  random.fill(challenge_);
  return challenge_body(challenge_, settings().name);
}

std::expected<model::AuthRequest, EndReason> ChapMd5Authenticator::on_response(
    Bytes body, std::uint8_t identifier) {
  const auto chap = wire::ChapValue::parse(body);
  model::ChapMd5Credentials credentials{.challenge = challenge_, .identifier = identifier};
  if (!chap || chap->value.size() != credentials.response.size() ||
      chap->name.size() > kMaximumName)
    return std::unexpected(EndReason::auth_malformed);
  Reader(chap->value).read_struct(credentials.response);
  return model::AuthRequest{.user = to_text(chap->name), .credentials = credentials, .peer = {}};
}

ChapAuthenticator::Failure ChapMd5Authenticator::failure(const model::AuthDenial&, RandomSource&) {
  return {.text = std::string(failure_text(691)), .is_last = true};
}

// ---- MS-CHAPv1

std::vector<std::byte> MsChapAuthenticator::make_challenge(RandomSource& random) {
  random.fill(challenge_);
  return challenge_body(challenge_, settings().name);
}

std::expected<model::AuthRequest, EndReason> MsChapAuthenticator::on_response(
    Bytes body, std::uint8_t identifier) {
  const auto chap = wire::ChapValue::parse(body);
  const auto response = chap ? wire::MsChapV1Response::parse(chap->value) : std::nullopt;
  if (!response || chap->name.size() > kMaximumName)
    return std::unexpected(EndReason::auth_malformed);
  if (!response->use_nt_response) return std::unexpected(EndReason::auth_lm_response);
  return model::AuthRequest{
      .user = to_text(chap->name),
      .credentials = model::MsChapCredentials{.challenge = challenge_,
                                              .nt_response = response->nt_response,
                                              .identifier = identifier},
      .peer = {}};
}

ChapAuthenticator::Failure MsChapAuthenticator::failure(const model::AuthDenial& denial,
                                                        RandomSource& random) {
  next_challenge(denial, random, challenge_);
  const bool retry = denial.may_retry && retries_ < settings().auth_retries;
  if (retry) ++retries_;
  return {.text = ms_chap_failure(denial.ms_chap_error, retry, challenge_, 2), .is_last = !retry};
}

// ---- MS-CHAPv2

std::vector<std::byte> MsChapV2Authenticator::make_challenge(RandomSource& random) {
  exchange_.start(random);
  return exchange_.challenge_body();
}

std::expected<model::AuthRequest, EndReason> MsChapV2Authenticator::on_response(
    Bytes body, std::uint8_t identifier) {
  auto request = exchange_.on_response(body, identifier);
  if (!request) return std::unexpected(EndReason::auth_malformed);
  return std::move(*request);
}

std::optional<std::expected<model::AuthRequest, EndReason>> MsChapV2Authenticator::on_other_code(
    std::uint8_t code, Bytes body, std::uint8_t identifier) {
  if (code != wire::MsChapV2ChangePassword::kCode || !exchange_.awaits_change())
    return std::nullopt;
  auto request = exchange_.on_change_password(body, identifier);
  if (!request) return std::unexpected(EndReason::auth_malformed);
  return std::move(*request);
}

ChapAuthenticator::Failure MsChapV2Authenticator::failure(const model::AuthDenial& denial,
                                                          RandomSource& random) {
  Failure out;
  out.text = exchange_.failure(denial, random);
  out.is_last = !exchange_.awaits_response() && !exchange_.awaits_change();
  return out;
}

}  // namespace pns::ppp
