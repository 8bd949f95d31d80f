// SPDX-License-Identifier: BSD-3-Clause
//
// Request Authenticator, Response Authenticator (RFC 2865 §3, RFC 2866 §3, RFC 5176 §2.3) and
// Message-Authenticator (RFC 3579 §3.2): how packets are signed with the shared secret, and how
// received ones are judged. Comparisons take constant time. Pure functions, any thread, no
// allocation, no throw.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>

#include "pns/base/bytes.hpp"
#include "pns/base/random.hpp"
#include "pns/radius/errors.hpp"
#include "pns/radius/packet.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::radius {

// For Access-Request and Status-Server: unpredictable, and new for each request.
[[nodiscard]] Authenticator random_authenticator(RandomSource& random) noexcept;

// ---- Signing. The packet is well formed and has its Length; its Message-Authenticator, where it
// has one, is overwritten.

// An Access-Request and a Status-Server keep their Authenticator. Accounting-Request, CoA-Request
// and Disconnect-Request get theirs, after the Message-Authenticator, which counts zeros there.
void sign_request(MutableBytes packet, Bytes secret) noexcept;
// `request`: the Authenticator of the request as it was sent.
void sign_response(MutableBytes packet, Bytes secret, const Authenticator& request) noexcept;

// The same for a builder: the octets to send, a view of it. Empty when the builder has failed.
[[nodiscard]] std::optional<Bytes> sign_request(PacketBuilder& builder, Bytes secret) noexcept;
[[nodiscard]] std::optional<Bytes> sign_response(PacketBuilder& builder, Bytes secret,
                                                 const Authenticator& request) noexcept;

// ---- Judging.

// Whether a packet without a Message-Authenticator is taken. One that has it must have it right,
// wherever it stands. A packet with EAP-Message must have it under either policy (RFC 3579 §3.1).
enum class MessageAuthenticatorPolicy : std::uint8_t { kRequire, kAccept };

[[nodiscard]] constexpr bool is_request(Code code) noexcept {
  return code == Code::kAccessRequest || code == Code::kAccountingRequest ||
         code == Code::kStatusServer || code == Code::kDisconnectRequest ||
         code == Code::kCoaRequest;
}

// Whether `response` may answer `request` (RFC 2865 §4, RFC 2866 §4, RFC 5176 §2, RFC 5997 §3).
[[nodiscard]] constexpr bool is_answer(Code request, Code response) noexcept {
  switch (request) {
    case Code::kAccessRequest:
      return response == Code::kAccessAccept || response == Code::kAccessReject ||
             response == Code::kAccessChallenge;
    case Code::kAccountingRequest:
      return response == Code::kAccountingResponse;
    case Code::kStatusServer:
      return response == Code::kAccessAccept || response == Code::kAccountingResponse;
    case Code::kDisconnectRequest:
      return response == Code::kDisconnectAck || response == Code::kDisconnectNak;
    case Code::kCoaRequest:
      return response == Code::kCoaAck || response == Code::kCoaNak;
    default:
      return false;
  }
}

// The request that a response must belong to. The caller has matched address, port and Identifier.
struct SentRequest {
  Code code = Code::kAccessRequest;
  Authenticator authenticator{};  // as it was sent
};

// kRequire holds for the answers to an Access-Request only. Servers leave Message-Authenticator out
// of Accounting-Response and of the answer to Status-Server, which grant nothing.
[[nodiscard]] std::expected<void, VerifyError> verify_response(
    const PacketView& response, const SentRequest& request, Bytes secret,
    MessageAuthenticatorPolicy policy) noexcept;

// A CoA-Request or Disconnect-Request (RFC 5176 §2.3), an Accounting-Request (RFC 2866 §3): the
// Authenticator must be right. That of an Access-Request or Status-Server is random: only the
// Message-Authenticator tells; a Status-Server must have one (RFC 5997 §3).
[[nodiscard]] std::expected<void, VerifyError> verify_request(
    const PacketView& request, Bytes secret, MessageAuthenticatorPolicy policy) noexcept;

}  // namespace pns::radius
