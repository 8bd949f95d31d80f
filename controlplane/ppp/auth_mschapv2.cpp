// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/auth_mschapv2.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

namespace pns::ppp {
namespace {

std::string hex(Bytes octets) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(2 * octets.size());
  for (const std::byte octet : octets) {
    out += kDigits[std::to_integer<std::size_t>(octet >> 4)];
    out += kDigits[std::to_integer<std::size_t>(octet & std::byte{0x0f})];
  }
  return out;
}

// RFC 2759 §6.
std::string_view failure_text(std::uint16_t error) noexcept {
  switch (error) {
    case 646:
      return "Restricted logon hours";
    case 647:
      return "Account disabled";
    case 648:
      return "Password expired";
    case 649:
      return "No dial-in permission";
    case 709:
      return "Change password failed";
    default:
      return "Authentication failed";
  }
}

}  // namespace

void MsChapV2Authenticator::start(Context& context) {
  context.random.fill(challenge_);
  identifier_ = static_cast<std::uint8_t>(context.random.next_u32());
  stage_ = Stage::kChallenged;
  challenges_sent_ = 0;
  send_challenge(context);
}

void MsChapV2Authenticator::send_challenge(Context& context) {
  std::array<std::byte, 1 + 16 + 64> body;
  Writer writer(body);
  const Bytes name = as_octets(settings_.name);
  wire::ChapValue{challenge_, name.first(std::min<std::size_t>(name.size(), 64))}.write(writer);
  context.send(wire::PppProtocol::kChap, static_cast<std::uint8_t>(wire::ChapCode::kChallenge),
               identifier_, writer.written());
  repeat_at_ = context.now +
               (challenges_sent_ == 0 ? settings_.first_restart_timer : settings_.restart_timer);
  ++challenges_sent_;
}

void MsChapV2Authenticator::on_timer(Context& context) {
  if (!repeat_at_ || context.now < *repeat_at_) return;
  repeat_at_.reset();
  if (stage_ != Stage::kChallenged) return;
  if (challenges_sent_ >= settings_.max_configure) {
    stage_ = Stage::kIdle;
    context.observer.auth_failed(EndReason::auth_timeout);
    return;
  }
  send_challenge(context);
}

void MsChapV2Authenticator::on_packet(const wire::ControlPacket& packet, Context& context) {
  // Success, Failure and Challenge are ours to send. An Identifier other than the one asked is no
  // answer (RFC 1994 §4.1).
  if (packet.code != static_cast<std::uint8_t>(wire::ChapCode::kResponse) ||
      packet.identifier != identifier_)
    return;
  // §4.1: a repeated Response is told the same again. Nothing in it is looked at, so nothing in it
  // can change the verdict.
  if (stage_ == Stage::kDecided) return send_verdict(context);
  if (stage_ != Stage::kChallenged) return;

  const auto chap = wire::ChapValue::parse(packet.data);
  const auto response = chap ? wire::MsChapV2Response::parse(chap->value) : std::nullopt;
  if (!response || chap->name.size() > kMaximumName) {
    deny({.reason = EndReason::auth_malformed, .ms_chap_error = 691}, context);
    context.observer.auth_failed(EndReason::auth_malformed);
    return;
  }
  stage_ = Stage::kDeciding;
  repeat_at_.reset();
  model::AuthRequest request;
  request.user.assign(reinterpret_cast<const char*>(chap->name.data()), chap->name.size());
  request.credentials = model::MsChapV2Credentials{.authenticator_challenge = challenge_,
                                                   .peer_challenge = response->peer_challenge,
                                                   .nt_response = response->nt_response};
  request.peer = settings_.peer;
  context.observer.credentials(std::move(request));
}

void MsChapV2Authenticator::grant(const model::AuthGrant& grant, Context& context) {
  stage_ = Stage::kDecided;
  repeat_at_.reset();
  verdict_ = wire::ChapCode::kSuccess;
  verdict_message_ = grant.authenticator_response + " M=OK";
  send_verdict(context);
}

void MsChapV2Authenticator::deny(const model::AuthDenial& denial, Context& context) {
  stage_ = Stage::kDecided;
  repeat_at_.reset();
  std::array<std::byte, 16> challenge;
  context.random.fill(challenge);
  verdict_ = wire::ChapCode::kFailure;
  verdict_message_ = "E=" + std::to_string(denial.ms_chap_error) + " R=0 C=" + hex(challenge) +
                     " V=3 M=" + std::string(failure_text(denial.ms_chap_error));
  send_verdict(context);
}

void MsChapV2Authenticator::send_verdict(Context& context) const {
  context.send(wire::PppProtocol::kChap, static_cast<std::uint8_t>(verdict_), identifier_,
               as_octets(verdict_message_));
}

}  // namespace pns::ppp
