// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/ms_chap_v2_exchange.hpp"

#include <utility>

#include "controlplane/ppp/auth_message.hpp"
#include "pns/wire/ppp_auth.hpp"
#include "pns/wire/ppp_control.hpp"

namespace pns::ppp {

void MsChapV2Exchange::start(RandomSource& random) { random.fill(challenge_); }

std::vector<std::byte> MsChapV2Exchange::challenge_body() const {
  std::vector<std::byte> body(1 + challenge_.size() + kMaximumOurName);
  Writer writer(body);
  wire::ChapValue{challenge_, our_name(settings_.name)}.write(writer);
  body.resize(writer.size());
  return body;
}

std::optional<model::AuthRequest> MsChapV2Exchange::on_response(Bytes body,
                                                                std::uint8_t identifier) {
  const auto chap = wire::ChapValue::parse(body);
  const auto response = chap ? wire::MsChapV2Response::parse(chap->value) : std::nullopt;
  if (!response || chap->name.size() > kMaximumName) return std::nullopt;
  awaits_response_ = awaits_change_ = false;
  user_ = to_text(chap->name);
  return model::AuthRequest{
      .user = user_,
      .credentials = model::MsChapV2Credentials{.authenticator_challenge = challenge_,
                                                .peer_challenge = response->peer_challenge,
                                                .nt_response = response->nt_response,
                                                .identifier = identifier},
      .peer = {}};
}

std::optional<model::AuthRequest> MsChapV2Exchange::on_change_password(Bytes body,
                                                                       std::uint8_t identifier) {
  const auto change = wire::MsChapV2ChangePassword::parse(body);
  if (!change) return std::nullopt;
  awaits_response_ = awaits_change_ = false;
  changed_ = true;
  return model::AuthRequest{
      .user = user_,
      .credentials =
          model::ChangePasswordCredentials{.response = {.authenticator_challenge = challenge_,
                                                        .peer_challenge = change->peer_challenge,
                                                        .nt_response = change->nt_response,
                                                        .identifier = identifier},
                                           .encrypted_password = change->encrypted_password,
                                           .encrypted_hash = change->encrypted_hash},
      .peer = {}};
}

std::string MsChapV2Exchange::success(const model::AuthGrant& grant) {
  return grant.authenticator_response + " M=OK";
}

std::string MsChapV2Exchange::failure(const model::AuthDenial& denial, RandomSource& random) {
  next_challenge(denial, random, challenge_);
  // Clients take R=1 as "type another password" whatever the code, so a change goes with R=0.
  awaits_change_ = denial.may_change_password && !changed_;
  awaits_response_ = !awaits_change_ && denial.may_retry && retries_ < settings_.auth_retries;
  if (awaits_response_) ++retries_;
  return ms_chap_failure(denial.ms_chap_error, awaits_response_, challenge_, 3);
}

}  // namespace pns::ppp
