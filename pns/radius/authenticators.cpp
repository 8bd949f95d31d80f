// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/authenticators.hpp"

#include <algorithm>

#include "pns/base/secret.hpp"
#include "pns/crypto/hash.hpp"

namespace pns::radius {
namespace {

constexpr std::size_t kAuthenticatorAt = 4;
constexpr Authenticator kZeros{};

bool has_random_authenticator(Code code) noexcept {
  return code == Code::kAccessRequest || code == Code::kStatusServer;
}

// MD5 over the packet, as if it had this Authenticator, and the secret.
Authenticator digest(Bytes packet, const Authenticator& authenticator, Bytes secret) noexcept {
  return crypto::md5(
      {packet.first(kAuthenticatorAt), authenticator, packet.subspan(kHeaderSize), secret});
}

// HMAC-MD5 over the packet, as if it had this Authenticator, and as if the value at
// `message_authenticator`, which is a part of it, were zeros.
Authenticator keyed_digest(Bytes packet, const Authenticator& authenticator,
                           Bytes message_authenticator, Bytes secret) noexcept {
  const auto at = static_cast<std::size_t>(message_authenticator.data() - packet.data());
  return crypto::hmac_md5(secret, {packet.first(kAuthenticatorAt), authenticator,
                                   packet.subspan(kHeaderSize, at - kHeaderSize), kZeros,
                                   packet.subspan(at + message_authenticator.size())});
}

// Fills in the Message-Authenticator, where the packet has one.
void write_message_authenticator(MutableBytes packet, const Authenticator& authenticator,
                                 Bytes secret) noexcept {
  for (const Bytes value :
       AttributeValues(packet.subspan(kHeaderSize), attribute::kMessageAuthenticator)) {
    if (value.size() != sizeof(Authenticator)) return;
    const auto at = static_cast<std::size_t>(value.data() - packet.data());
    std::ranges::copy(keyed_digest(packet, authenticator, value, secret),
                      packet.subspan(at).begin());
    return;
  }
}

void write_authenticator(MutableBytes packet, const Authenticator& authenticator) noexcept {
  std::ranges::copy(authenticator, packet.subspan(kAuthenticatorAt).begin());
}

// `authenticator`: the one that the sender counted.
std::expected<void, VerifyError> check_message_authenticator(const PacketView& packet,
                                                             const Authenticator& authenticator,
                                                             Bytes secret, bool required) noexcept {
  std::optional<Bytes> found;
  for (const Bytes value : packet.all(attribute::kMessageAuthenticator)) {
    if (found || value.size() != sizeof(Authenticator))
      return std::unexpected(VerifyError::message_authenticator_malformed);
    found = value;
  }
  if (!found) {
    if (!required && !packet.has(attribute::kEapMessage)) return {};
    return std::unexpected(VerifyError::message_authenticator_missing);
  }
  if (!equal_constant_time(keyed_digest(packet.whole(), authenticator, *found, secret), *found))
    return std::unexpected(VerifyError::message_authenticator_wrong);
  return {};
}

}  // namespace

Authenticator random_authenticator(RandomSource& random) noexcept {
  Authenticator out;
  random.fill(out);
  return out;
}

void sign_request(MutableBytes packet, Bytes secret) noexcept {
  if (has_random_authenticator(static_cast<Code>(packet[0]))) {
    Authenticator authenticator;
    std::ranges::copy(packet.subspan(kAuthenticatorAt, authenticator.size()),
                      authenticator.begin());
    write_message_authenticator(packet, authenticator, secret);
    return;
  }
  write_message_authenticator(packet, kZeros, secret);
  write_authenticator(packet, digest(packet, kZeros, secret));
}

void sign_response(MutableBytes packet, Bytes secret, const Authenticator& request) noexcept {
  write_message_authenticator(packet, request, secret);
  write_authenticator(packet, digest(packet, request, secret));
}

std::optional<Bytes> sign_request(PacketBuilder& builder, Bytes secret) noexcept {
  const auto packet = builder.finish();
  if (!packet) return std::nullopt;
  sign_request(*packet, secret);
  return *packet;
}

std::optional<Bytes> sign_response(PacketBuilder& builder, Bytes secret,
                                   const Authenticator& request) noexcept {
  const auto packet = builder.finish();
  if (!packet) return std::nullopt;
  sign_response(*packet, secret, request);
  return *packet;
}

std::expected<void, VerifyError> verify_response(const PacketView& response,
                                                 const SentRequest& request, Bytes secret,
                                                 MessageAuthenticatorPolicy policy) noexcept {
  if (!is_answer(request.code, response.code())) return std::unexpected(VerifyError::wrong_code);
  if (!equal_constant_time(digest(response.whole(), request.authenticator, secret),
                           response.authenticator()))
    return std::unexpected(VerifyError::authenticator);
  const bool required =
      policy == MessageAuthenticatorPolicy::kRequire && request.code == Code::kAccessRequest;
  return check_message_authenticator(response, request.authenticator, secret, required);
}

std::expected<void, VerifyError> verify_request(const PacketView& request, Bytes secret,
                                                MessageAuthenticatorPolicy policy) noexcept {
  const Code code = request.code();
  if (!is_request(code)) return std::unexpected(VerifyError::wrong_code);
  const bool required =
      policy == MessageAuthenticatorPolicy::kRequire || code == Code::kStatusServer;
  if (has_random_authenticator(code))
    return check_message_authenticator(request, request.authenticator(), secret, required);
  if (!equal_constant_time(digest(request.whole(), kZeros, secret), request.authenticator()))
    return std::unexpected(VerifyError::authenticator);
  return check_message_authenticator(request, kZeros, secret, required);
}

}  // namespace pns::radius
