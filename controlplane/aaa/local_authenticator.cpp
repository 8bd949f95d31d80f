// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/local_authenticator.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "pns/crypto/hash.hpp"
#include "pns/crypto/mppe_keys.hpp"
#include "pns/crypto/mschap.hpp"

namespace pns::aaa {
namespace {

// Everything that a method computes from an account. Done in full before the verdict is looked at,
// so that its cost tells nothing.
struct Proof {
  bool is_right = false;
  bool possible = true;  // false: the account lacks what the method needs
  std::string authenticator_response{};
  std::optional<model::MppeKeys> keys{};
  std::optional<Secret<16>> changed_to{};  // of a Change-Password packet
};

// RFC 2759, and RFC 3079 §3 for the keys.
Proof prove_ms_chap_v2(const model::MsChapV2Credentials& credentials, std::string_view user,
                       const crypto::PasswordHash& nt_hash) {
  const auto expected = crypto::generate_nt_response(credentials.authenticator_challenge,
                                                     credentials.peer_challenge, user, nt_hash);
  const auto hash_hash = crypto::hash_nt_password_hash(nt_hash);
  const auto master = crypto::get_master_key(hash_hash.bytes(), credentials.nt_response);
  return {.is_right = equal_constant_time(expected, credentials.nt_response),
          .authenticator_response = crypto::generate_authenticator_response(
              nt_hash, credentials.nt_response, credentials.peer_challenge,
              credentials.authenticator_challenge, user),
          .keys = model::MppeKeys{.send = crypto::get_asymmetric_start_key(
                                      master.bytes(), 128, crypto::KeyDirection::kServerSend),
                                  .receive = crypto::get_asymmetric_start_key(
                                      master.bytes(), 128, crypto::KeyDirection::kServerReceive)}};
}

class Prover {
 public:
  // `nobody` stands in for what `account` lacks.
  Prover(std::string_view sent_user, const LocalUser& account, const LocalUser& nobody)
      : user_(crypto::user_without_domain(sent_user)), account_(account), nobody_(nobody) {}

  // RFC 1334. The password is hashed as MS-CHAP does, so an account with only nt_hash will do.
  Proof operator()(const model::PapCredentials& credentials) const {
    const auto hash = crypto::nt_password_hash(credentials.password.view());
    return {.is_right = hash.has_value() && *hash == account_.nt_hash};
  }

  // RFC 1994 §4.1.
  Proof operator()(const model::ChapMd5Credentials& credentials) const {
    const bool possible = !account_.password.empty();
    const SecretText& password = possible ? account_.password : nobody_.password;
    const std::byte identifier{credentials.identifier};
    const auto expected =
        crypto::md5({Bytes(&identifier, 1), password.bytes(), credentials.challenge});
    return {.is_right = equal_constant_time(expected, credentials.response) && possible,
            .possible = possible};
  }

  // RFC 2433, and RFC 3079 §2 for the keys.
  Proof operator()(const model::MsChapCredentials& credentials) const {
    const auto expected = crypto::challenge_response(credentials.challenge, account_.nt_hash);
    const auto hash_hash = crypto::hash_nt_password_hash(account_.nt_hash);
    const auto key = crypto::get_start_key(credentials.challenge, hash_hash.bytes());
    model::MppeKeys keys{
        .send = key, .receive = key, .weak = model::MppeKeys::Weak::kNone, .weak_key = {}};
    if (account_.lm_hash) {
      keys.weak = model::MppeKeys::Weak::kOwn;
      std::ranges::copy(account_.lm_hash->bytes().first<8>(), keys.weak_key.bytes().begin());
    }
    return {.is_right = equal_constant_time(expected, credentials.nt_response), .keys = keys};
  }

  Proof operator()(const model::MsChapV2Credentials& credentials) const {
    return prove_ms_chap_v2(credentials, user_, account_.nt_hash);
  }

  // RFC 2759 §7: who can encrypt with the old password's hash, and answer with the new one's.
  Proof operator()(const model::ChangePasswordCredentials& credentials) const {
    crypto::EncryptedPassword clear;
    const auto password =
        crypto::decrypt_new_password(credentials.encrypted_password, account_.nt_hash, clear);
    const auto new_hash = crypto::nt_password_hash_of_utf16(password.value_or(Bytes{}));
    wipe(clear);
    const auto old_hash = crypto::old_hash_encrypted_with_new(account_.nt_hash, new_hash);
    Proof proof = prove_ms_chap_v2(credentials.response, user_, new_hash);
    const bool knows_old = equal_constant_time(old_hash, credentials.encrypted_hash);
    proof.is_right = proof.is_right && knows_old && password.has_value();
    proof.changed_to = new_hash;
    return proof;
  }

  // An account in a file has no method of several rounds.
  Proof operator()(const model::RelayedCredentials&) const { return {}; }

 private:
  std::string_view user_;
  const LocalUser& account_;
  const LocalUser& nobody_;
};

}  // namespace

LocalAuthenticator::LocalAuthenticator(std::vector<LocalUser> users, RandomSource& random) {
  random.fill(nobody_.nt_hash.bytes());
  std::array<std::byte, 16> password;
  random.fill(password);
  nobody_.password = SecretText(Bytes(password));
  wipe(password);
  for (LocalUser& user : users) {
    std::string name = user.name;
    users_.try_emplace(std::move(name), std::move(user));
  }
}

LocalUser* LocalAuthenticator::find(std::string_view name) {
  auto user = users_.find(name);
  if (user == users_.end()) user = users_.find(crypto::user_without_domain(name));
  return user == users_.end() ? nullptr : &user->second;
}

void LocalAuthenticator::authenticate(model::AuthRequest request, Done done) {
  LocalUser* const known = find(request.account_name());
  const LocalUser& account = known != nullptr ? *known : nobody_;
  Proof proof = std::visit(Prover(request.user, account, nobody_), request.credentials);

  // Somebody who guesses nobody_'s random hash still is nobody.
  if (!proof.is_right || known == nullptr)
    return done(std::unexpected(model::AuthDenial{
        .reason = proof.possible ? EndReason::auth_failed : EndReason::auth_no_cleartext,
        .ms_chap_error = 691,
        .may_retry = true}));
  // The password was right: the account may still be closed.
  if (known->disabled)
    return done(std::unexpected(
        model::AuthDenial{.reason = EndReason::auth_account_disabled, .ms_chap_error = 647}));
  if (known->password_expired && !proof.changed_to)
    return done(
        std::unexpected(model::AuthDenial{.reason = EndReason::auth_password_expired,
                                          .ms_chap_error = 648,
                                          .may_change_password = save_password_ != nullptr}));
  model::AuthGrant grant{.user = known->name,
                         .method = request.method(),
                         .authenticator_response = std::move(proof.authenticator_response),
                         .mppe = std::move(proof.keys),
                         .address = known->address,
                         .ipv6_prefix = known->ipv6_prefix,
                         .delegated_prefix = known->delegated_prefix,
                         .networks = known->networks,
                         .pool = known->pool,
                         .terms = known->terms,
                         .link = known->link,
                         .sessions = known->sessions,
                         .interim_interval = known->interim_interval,
                         .groups = known->groups,
                         .origin = {.realm = request.realm}};
  if (!proof.changed_to) return done(std::move(grant));
  change_password(*known, *proof.changed_to, std::move(grant), std::move(done));
}

void LocalAuthenticator::change_password(LocalUser& user, const Secret<16>& changed_to,
                                         model::AuthGrant grant, Done done) {
  const auto refused = [] {
    return std::unexpected(
        model::AuthDenial{.reason = EndReason::auth_change_refused, .ms_chap_error = 709});
  };
  if (!user.password_expired || !save_password_ || changed_to == user.nt_hash ||
      !changing_.insert(&user).second)
    return done(refused());
  save_password_(user.name, changed_to,
                 [this, &user, changed_to, refused, alive = std::weak_ptr(alive_),
                  grant = std::move(grant), done = std::move(done)](bool kept) mutable {
                   if (alive.expired()) return;
                   changing_.erase(&user);
                   if (!kept) return done(refused());
                   user.nt_hash = changed_to;
                   user.password = SecretText();
                   user.lm_hash.reset();
                   user.password_expired = false;
                   done(std::move(grant));
                 });
}

model::AuthResult LocalAuthenticator::decide(const model::AuthRequest& request) {
  std::optional<model::AuthResult> result;
  const auto answer = std::make_shared<std::optional<model::AuthResult>*>(&result);
  authenticate(request, [answer](model::AuthResult verdict) {
    if (*answer != nullptr) **answer = std::move(verdict);
  });
  *answer = nullptr;  // whoever answers later answers nobody
  if (!result) return std::unexpected(model::AuthDenial{.reason = EndReason::auth_unavailable});
  return std::move(*result);
}

}  // namespace pns::aaa
