// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_messages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <expected>
#include <variant>

#include "pns/crypto/mppe_keys.hpp"
#include "pns/crypto/mschap.hpp"
#include "pns/radius/hiding.hpp"
#include "pns/radius/ms_chap.hpp"
#include "pns/radius/numbers.hpp"
#include "pns/radius/values.hpp"

namespace pns::aaa {

namespace attribute = radius::attribute;
using model::AuthDenial;
using radius::PacketBuilder;

namespace {

constexpr Seconds kShortestRepetition{1};
constexpr Seconds kLongestRepetition{60};
constexpr std::size_t kProofSize = 42;  // "S=" and 40 hexadecimal digits

// ---- The request

class CredentialsAdder {
 public:
  CredentialsAdder(PacketBuilder& packet, const RadiusAttempt& attempt, std::uint16_t mtu)
      : packet_(packet), attempt_(attempt), mtu_(mtu) {}

  void operator()(const model::PapCredentials& credentials) const {
    radius::add_user_password(packet_, credentials.password.bytes(), attempt_.secret);
  }
  void operator()(const model::ChapMd5Credentials& credentials) const {
    radius::add_chap(packet_, credentials.identifier, credentials.challenge, credentials.response);
  }
  void operator()(const model::MsChapCredentials& credentials) const {
    radius::add_ms_chap(packet_, credentials.identifier, credentials.challenge,
                        credentials.nt_response);
  }
  void operator()(const model::MsChapV2Credentials& credentials) const {
    radius::add_ms_chap2(packet_, response_of(credentials));
  }
  void operator()(const model::ChangePasswordCredentials& credentials) const {
    radius::add_ms_chap2_change_password(packet_, response_of(credentials.response),
                                         credentials.encrypted_password,
                                         credentials.encrypted_hash);
  }
  // RFC 3579 §2.4: the server must know how long a fragment may be.
  void operator()(const model::RelayedCredentials& credentials) const {
    if (mtu_ != 0) packet_.add_u32(attribute::kFramedMtu, mtu_);
    packet_.add_eap_message(credentials.message);
    if (const auto state = unpack_state(credentials.state))
      packet_.add(attribute::kState, state->state);
  }

 private:
  [[nodiscard]] static radius::MsChap2Response response_of(
      const model::MsChapV2Credentials& credentials) {
    return {.identifier = credentials.identifier,
            .authenticator_challenge = credentials.authenticator_challenge,
            .peer_challenge = credentials.peer_challenge,
            .nt_response = credentials.nt_response};
  }

  PacketBuilder& packet_;
  const RadiusAttempt& attempt_;
  std::uint16_t mtu_;
};

// The credentials bring the State of a challenge.
bool has_state(const model::AuthRequest& request) noexcept {
  const auto* const relayed = std::get_if<model::RelayedCredentials>(&request.credentials);
  return relayed != nullptr && !relayed->state.empty();
}

// Whether the server can judge the credentials under the account's name. MS-CHAPv2 hashes the name
// without DOMAIN\ (RFC 2759 §8.2). With EAP the name is that of the peer's Identity (RFC 3579
// §2.1).
bool may_be_renamed(const model::AuthRequest& request) noexcept {
  if (std::holds_alternative<model::RelayedCredentials>(request.credentials)) return false;
  return request.method() != model::AuthMethod::kMsChapV2 ||
         crypto::user_without_domain(request.account_name()) ==
             crypto::user_without_domain(request.user);
}

// ---- The answers

using Keys = std::expected<std::optional<model::MppeKeys>, EndReason>;

// RFC 2548 §2.4.1, RFC 3079 §2.
Keys read_ms_chap_keys(const RadiusAnswer& answer, const model::MsChapCredentials& credentials) {
  const auto value = answer.packet.find_first(attribute::kMsChapMppeKeys);
  if (!value) return std::nullopt;
  const auto hidden = radius::reveal_ms_chap_mppe_keys(*value, answer.secret, answer.authenticator);
  if (!hidden) return std::unexpected(EndReason::auth_bad_keys);
  const auto key = crypto::get_start_key(credentials.challenge, hidden->nt.bytes());
  model::MppeKeys keys{
      .send = key, .receive = key, .weak = model::MppeKeys::Weak::kNone, .weak_key = {}};
  if (hidden->lm != Secret<8>()) {
    keys.weak = model::MppeKeys::Weak::kOwn;
    std::ranges::copy(hidden->lm.bytes(), keys.weak_key.bytes().begin());
  }
  return keys;
}

Keys read_keys(const RadiusAnswer& answer, const model::AuthRequest& request) {
  if (const auto* const ms_chap = std::get_if<model::MsChapCredentials>(&request.credentials))
    return read_ms_chap_keys(answer, *ms_chap);
  const auto pair = radius::read_mppe_keys(answer.packet, answer.secret, answer.authenticator);
  if (!pair) return std::unexpected(EndReason::auth_bad_keys);
  if (!*pair) return std::nullopt;
  return model::MppeKeys{.send = Secret<16>((*pair)->send.leading()),
                         .receive = Secret<16>((*pair)->receive.leading())};
}

AuthDenial not_served(EndReason reason) { return {.reason = reason, .is_verdict = false}; }

model::AuthResult read_accept(const RadiusAnswer& answer, const model::AuthRequest& request,
                              std::chrono::sys_seconds now, const AttributeMeanings& meanings,
                              IgnoredAttributes& ignored) {
  const radius::PacketView& packet = answer.packet;
  if (const auto value = packet.find_first(attribute::kServiceType))
    if (radius::read_u32(*value) != radius::number(radius::ServiceType::kFramed))
      return not_served(EndReason::auth_service_type);
  model::AuthGrant grant;
  grant.user = request.account_name();
  grant.method = request.method();
  // RFC 2759 §5: a client that is shown no proof ends the call.
  if (grant.method == model::AuthMethod::kMsChapV2) {
    const auto value = packet.find_first(attribute::kMsChap2Success);
    const auto success = value ? radius::read_ms_chap2_success(*value) : std::nullopt;
    if (!success || success->message.size() < kProofSize)
      return not_served(EndReason::auth_no_proof);
    grant.authenticator_response = success->message.substr(0, kProofSize);
  }
  auto keys = read_keys(answer, request);
  if (!keys) return not_served(keys.error());
  grant.mppe = std::move(*keys);
  grant.origin.is_radius = true;
  grant.origin.realm = request.realm;
  grant.origin.classes = read_classes(packet);
  if (const auto value = packet.find_first(attribute::kUserName))
    if (const auto name = radius::read_text(*value)) grant.user = *name;
  const auto authorized = read_authorization(packet, now, meanings, grant, ignored);
  if (!authorized) return not_served(authorized.error());
  return grant;
}

EndReason reason_of(std::uint16_t error) noexcept {
  switch (error) {  // RFC 2759 §6
    case 646:       // restricted logon hours
    case 647:       // account disabled
    case 649:       // no dial-in permission
      return EndReason::auth_account_disabled;
    case 648:
      return EndReason::auth_password_expired;
    case 709:
      return EndReason::auth_change_refused;
    default:
      return EndReason::auth_failed;
  }
}

model::AuthResult read_reject(const RadiusAnswer& answer, const model::AuthRequest& request) {
  AuthDenial denial;
  const auto value = answer.packet.find_first(attribute::kMsChapError);
  const auto error = value ? radius::read_ms_chap_error(*value) : std::nullopt;
  if (!error) return denial;
  denial.reason = reason_of(error->error);
  denial.ms_chap_error = error->error;
  denial.may_retry = error->may_retry;
  denial.may_change_password = denial.reason == EndReason::auth_password_expired &&
                               request.method() == model::AuthMethod::kMsChapV2;
  if (error->challenge)
    denial.challenge.assign(error->challenge->begin(), error->challenge->end());
  else if (error->short_challenge)
    denial.challenge.assign(error->short_challenge->begin(), error->short_challenge->end());
  return denial;
}

// A challenge to credentials that have no further round refuses them.
model::AuthResult read_challenge(const RadiusAnswer& answer, const model::AuthRequest& request) {
  if (!std::holds_alternative<model::RelayedCredentials>(request.credentials)) return AuthDenial{};
  std::array<std::byte, radius::kMaximumPacketSize> octets;
  const auto message = answer.packet.join_eap_message(octets);
  if (!message) return AuthDenial{};
  const auto state = answer.packet.find_first(attribute::kState);
  model::AuthChallenge challenge{.message = {message->begin(), message->end()},
                                 .state = pack_state(answer.server, state.value_or(Bytes{}))};
  // RFC 3579 §2.6.1: here it is the time for an answer of the peer.
  if (const auto value = answer.packet.find_first(attribute::kSessionTimeout))
    if (const auto seconds = radius::read_u32(*value))
      challenge.repeat_after =
          std::clamp(Seconds(*seconds), kShortestRepetition, kLongestRepetition);
  return challenge;
}

}  // namespace

std::vector<std::byte> pack_state(std::size_t server, Bytes state) {
  std::vector<std::byte> packed(1 + state.size());
  packed.front() = static_cast<std::byte>(server);
  std::ranges::copy(state, packed.begin() + 1);
  return packed;
}

std::optional<RelayedState> unpack_state(Bytes packed) noexcept {
  if (packed.empty()) return std::nullopt;
  return RelayedState{.server = std::to_integer<std::size_t>(packed.front()),
                      .state = packed.subspan(1)};
}

bool fits_request(const model::AuthRequest& request) noexcept {
  const auto* const pap = std::get_if<model::PapCredentials>(&request.credentials);
  return request.user.size() <= radius::kMaximumValueSize &&
         (pap == nullptr || pap->password.bytes().size() <= radius::kMaximumPasswordSize);
}

void add_login(PacketBuilder& packet, const RadiusAttempt& attempt,
               const model::AuthRequest& request, const RadiusNas& nas) {
  const model::AuthCall& call = request.call;
  packet.add_text(attribute::kUserName,
                  may_be_renamed(request) ? request.account_name() : request.user);
  std::visit(CredentialsAdder(packet, attempt, call.mtu), request.credentials);
  if (!has_state(request) && !request.state.empty()) packet.add(attribute::kState, request.state);
  add_nas(packet, nas);
  add_call(packet, {.session = call.session,
                    .slot = call.slot,
                    .peer_call_id = call.peer_call_id,
                    .peer = request.peer,
                    .local = call.local});
}

model::AuthResult read_answer(const RadiusAnswer& answer, const model::AuthRequest& request,
                              std::chrono::sys_seconds now, const AttributeMeanings& meanings,
                              IgnoredAttributes& ignored) {
  switch (answer.packet.code()) {
    case radius::Code::kAccessAccept:
      return read_accept(answer, request, now, meanings, ignored);
    case radius::Code::kAccessChallenge:
      return read_challenge(answer, request);
    default:
      return read_reject(answer, request);
  }
}

}  // namespace pns::aaa
