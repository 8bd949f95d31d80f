// SPDX-License-Identifier: BSD-3-Clause
//
// Bodies of authentication packets beside those of CHAP and MS-CHAPv2 (pns/wire/ppp_control.hpp,
// which also has the header that all of them share): PAP (RFC 1334), MS-CHAPv1 (RFC 2433), the
// Change-Password packet of MS-CHAPv2 (RFC 2759 §7) and EAP (RFC 3748) with its methods
// MD5-Challenge and EAP-MSCHAPv2 (draft-kamath-pppext-eap-mschapv2). Views point into the caller's
// octets. Pure functions, any thread, no allocation, no throw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "pns/base/bytes.hpp"

namespace pns::wire {

// ---- PAP

enum class PapCode : std::uint8_t {
  kAuthenticateRequest = 1,
  kAuthenticateAck = 2,
  kAuthenticateNak = 3,
};

// RFC 1334 §2.2.1: Peer-ID-Length, Peer-Id, Passwd-Length, Password.
struct PapRequest {
  Bytes peer_id;
  Bytes password;
  // Empty when a length points beyond the packet; octets behind the password are padding.
  [[nodiscard]] static std::optional<PapRequest> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;  // each of at most 255 octets
};

// RFC 1334 §2.2.2: Msg-Length and Message of an Ack or Nak; at most 255 octets are written.
void write_pap_message(Writer& out, Bytes message) noexcept;

// ---- MS-CHAP

// The Value of an MS-CHAPv1 Response, 49 octets (RFC 2433 §4): LM response, which is not kept, NT
// response, and whether the latter is to be used.
struct MsChapV1Response {
  static constexpr std::size_t kLength = 49;
  std::array<std::byte, 24> nt_response{};
  bool use_nt_response = true;
  [[nodiscard]] static std::optional<MsChapV1Response> parse(Bytes value) noexcept;
  void write(Writer& out) const noexcept;  // with an LM response of zeros
  friend bool operator==(const MsChapV1Response&, const MsChapV1Response&) = default;
};

// The data of a Change-Password packet, CHAP code 7 (RFC 2759 §7): 586 octets with the header, of
// which Reserved and Flags must be zero.
struct MsChapV2ChangePassword {
  static constexpr std::uint8_t kCode = 7;
  static constexpr std::size_t kLength = 582;
  std::array<std::byte, 516> encrypted_password{};
  std::array<std::byte, 16> encrypted_hash{};
  std::array<std::byte, 16> peer_challenge{};
  std::array<std::byte, 24> nt_response{};
  [[nodiscard]] static std::optional<MsChapV2ChangePassword> parse(Bytes data) noexcept;
  void write(Writer& out) const noexcept;
  friend bool operator==(const MsChapV2ChangePassword&, const MsChapV2ChangePassword&) = default;
};

// ---- EAP

enum class EapCode : std::uint8_t { kRequest = 1, kResponse = 2, kSuccess = 3, kFailure = 4 };

// RFC 3748 §5. A number from the wire may be any other.
enum class EapType : std::uint8_t {
  kIdentity = 1,
  kNotification = 2,
  kNak = 3,  // Legacy Nak, in Responses only
  kMd5Challenge = 4,
  kMsChapV2 = 26,
  kExpanded = 254,
};

// The data of a Request or Response: Type and Type-Data. (Success and Failure have no data.)
struct EapData {
  std::uint8_t type = 0;
  Bytes data;
  // Empty without a type.
  [[nodiscard]] static std::optional<EapData> parse(Bytes packet_data) noexcept;
};

enum class EapMsChapV2Code : std::uint8_t {
  kChallenge = 1,
  kResponse = 2,
  kSuccess = 3,
  kFailure = 4,
  kChangePassword = 7,
};

// Type-Data of EAP-MSCHAPv2 (draft §2): OpCode, MS-CHAPv2-ID, MS-Length and the body of the CHAP
// packet of that code. Responses of Success and Failure are the OpCode alone.
//
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |    OpCode     | MS-CHAPv2-ID  |          MS-Length            |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct EapMsChapV2 {
  std::uint8_t code = 0;
  std::uint8_t identifier = 0;  // MS-CHAPv2-ID; 0 when the OpCode stands alone
  Bytes data;
  // Empty when there is no OpCode, or when MS-Length is not the length of the Type-Data.
  [[nodiscard]] static std::optional<EapMsChapV2> parse(Bytes type_data) noexcept;
  void write(Writer& out) const noexcept;  // with all four fields
};

}  // namespace pns::wire
