// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/local_authenticator.hpp"

#include <utility>

#include "pns/crypto/mppe_keys.hpp"
#include "pns/crypto/mschap.hpp"

namespace pns::aaa {
namespace {

// Everything that MS-CHAPv2 computes from an account (RFC 2759, RFC 3079). Done in full before the
// verdict is looked at, so that its cost tells nothing.
struct MsChapV2Proof {
  bool response_is_right = false;
  std::string authenticator_response;
  model::MppeKeys keys;
};

MsChapV2Proof prove(const model::MsChapV2Credentials& credentials, std::string_view sent_user,
                    const crypto::PasswordHash& nt_hash) {
  const std::string_view user = crypto::user_without_domain(sent_user);
  const auto expected = crypto::generate_nt_response(credentials.authenticator_challenge,
                                                     credentials.peer_challenge, user, nt_hash);
  const auto hash_hash = crypto::hash_nt_password_hash(nt_hash);
  const auto master = crypto::get_master_key(hash_hash.bytes(), credentials.nt_response);
  return {.response_is_right = equal_constant_time(expected, credentials.nt_response),
          .authenticator_response = crypto::generate_authenticator_response(
              nt_hash, credentials.nt_response, credentials.peer_challenge,
              credentials.authenticator_challenge, user),
          .keys = {.send = crypto::get_asymmetric_start_key(master.bytes(), 128,
                                                            crypto::KeyDirection::kServerSend),
                   .receive = crypto::get_asymmetric_start_key(
                       master.bytes(), 128, crypto::KeyDirection::kServerReceive)}};
}

}  // namespace

LocalAuthenticator::LocalAuthenticator(std::vector<LocalUser> users, RandomSource& random) {
  random.fill(nobody_.nt_hash.bytes());
  replace_users(std::move(users));
}

void LocalAuthenticator::replace_users(std::vector<LocalUser> users) {
  users_.clear();
  for (LocalUser& user : users) {
    std::string name = user.name;
    users_.try_emplace(std::move(name), std::move(user));
  }
}

const LocalUser* LocalAuthenticator::find(std::string_view name) const {
  auto user = users_.find(name);
  if (user == users_.end()) user = users_.find(crypto::user_without_domain(name));
  return user == users_.end() ? nullptr : &user->second;
}

model::AuthResult LocalAuthenticator::decide(const model::AuthRequest& request) const {
  const LocalUser* const known = find(request.user);
  const LocalUser& user = known != nullptr ? *known : nobody_;
  const auto& credentials = std::get<model::MsChapV2Credentials>(request.credentials);
  MsChapV2Proof proof = prove(credentials, request.user, user.nt_hash);

  // Somebody who guesses nobody_'s random hash still is nobody.
  if (!proof.response_is_right || known == nullptr)
    return std::unexpected(
        model::AuthDenial{.reason = EndReason::auth_failed, .ms_chap_error = 691});
  return model::AuthGrant{.user = user.name,
                          .method = model::AuthMethod::kMsChapV2,
                          .authenticator_response = std::move(proof.authenticator_response),
                          .mppe = proof.keys,
                          .address = user.address,
                          .ipv6_prefix = user.ipv6_prefix,
                          .pool = user.pool,
                          .rate_bits_per_second = user.rate_bits_per_second,
                          .groups = user.groups};
}

void LocalAuthenticator::authenticate(model::AuthRequest request, Done done) {
  done(decide(request));
}

}  // namespace pns::aaa
