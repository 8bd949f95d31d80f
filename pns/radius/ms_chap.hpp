// SPDX-License-Identifier: BSD-3-Clause
//
// The attributes that carry CHAP (RFC 2865 §5.3) and MS-CHAP (RFC 2548 §2.1, §2.3) between this
// server and a RADIUS server. Not here: keys (hiding.hpp), and how responses are computed
// (pns/crypto/mschap.hpp). Pure functions, any thread, no allocation, no throw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::radius {

// CHAP-Password and CHAP-Challenge.
void add_chap(PacketBuilder& builder, std::uint8_t identifier, Bytes challenge,
              std::span<const std::byte, 16> response) noexcept;

// MS-CHAP-Challenge and MS-CHAP-Response, whose LM response is zeros.
void add_ms_chap(PacketBuilder& builder, std::uint8_t identifier,
                 std::span<const std::byte, 8> challenge,
                 std::span<const std::byte, 24> nt_response) noexcept;

struct MsChap2Response {
  std::uint8_t identifier = 0;
  std::span<const std::byte, 16> authenticator_challenge;
  std::span<const std::byte, 16> peer_challenge;
  std::span<const std::byte, 24> nt_response;
};

// MS-CHAP-Challenge and MS-CHAP2-Response.
void add_ms_chap2(PacketBuilder& builder, const MsChap2Response& response) noexcept;

inline constexpr std::size_t kEncryptedPasswordSize = 516;  // RFC 2759 §8.9

// MS-CHAP-Challenge, MS-CHAP2-CPW, and three MS-CHAP-NT-Enc-PW with the parts of the new password.
// `response` is over the new password (RFC 2759 §7).
void add_ms_chap2_change_password(
    PacketBuilder& builder, const MsChap2Response& response,
    std::span<const std::byte, kEncryptedPasswordSize> encrypted_password,
    std::span<const std::byte, 16> encrypted_hash) noexcept;

// The new password of a request, joined in the order of the parts' sequence numbers. False: parts
// are missing or not of this form.
[[nodiscard]] bool join_encrypted_password(
    const PacketView& request, std::span<std::byte, kEncryptedPasswordSize> out) noexcept;

// MS-CHAP2-Success: the Ident, and "S=" with 40 hexadecimal digits, with a message perhaps, which
// goes to the client as it is (RFC 2759 §5). Empty: it is not of this form.
struct MsChap2Success {
  std::uint8_t identifier = 0;
  std::string_view message;
};
[[nodiscard]] std::optional<MsChap2Success> read_ms_chap2_success(Bytes value) noexcept;

// MS-CHAP-Error: the Ident, and the message of a Failure packet (RFC 2759 §6, RFC 2433 §6). A
// server may leave out the Ident.
struct MsChapError {
  std::uint8_t identifier = 0;
  std::uint16_t error = 0;                                  // E=, 691: authentication failure
  bool may_retry = false;                                   // R=
  std::optional<std::array<std::byte, 16>> challenge;       // C=: the next response is over it
  std::optional<std::array<std::byte, 8>> short_challenge;  // C= of MS-CHAPv1
  std::uint8_t version = 0;                                 // V=; 0: not told
  std::string_view message;                                 // M=; may be empty
};
// Empty: there is no E= with a number of at most five digits.
[[nodiscard]] std::optional<MsChapError> read_ms_chap_error(Bytes value) noexcept;

}  // namespace pns::radius
