// SPDX-License-Identifier: BSD-3-Clause
//
// Attribute values that are hidden with the shared secret: User-Password (RFC 2865 §5.2), the MPPE
// keys of MS-CHAPv1 (RFC 2548 §2.4.1), and MS-MPPE-Send-Key and MS-MPPE-Recv-Key (§2.4.2, §2.4.3).
// Each hides or reveals; the way that this server does not need serves tests and the load
// generator. Clear text is wiped. Pure functions, any thread, no allocation, no throw.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/secret.hpp"
#include "pns/radius/packet.hpp"
#include "pns/radius/packet_builder.hpp"

namespace pns::radius {

// ---- User-Password

inline constexpr std::size_t kMaximumPasswordSize = 128;

// Adds User-Password, hidden with the builder's Authenticator. False, and nothing added: the
// password has more than kMaximumPasswordSize octets.
bool add_user_password(PacketBuilder& builder, Bytes password, Bytes secret) noexcept;

// The password of a User-Password value, without its padding of zeros, in the front of `clear`,
// which the caller wipes. Empty: the value is not 16 to 128 octets in steps of 16.
[[nodiscard]] std::optional<Bytes> reveal_user_password(
    Bytes value, Bytes secret, const Authenticator& request,
    std::span<std::byte, kMaximumPasswordSize> clear) noexcept;

// ---- Keys. `request`: the Authenticator of the Access-Request.

// A key of 16 octets (MS-CHAPv2) or 32 (half the MSK of EAP-TLS and its kin, RFC 5216 §2.3).
struct MppeKey {
  Secret<32> octets;  // the first `size`
  std::size_t size = 0;
  [[nodiscard]] Bytes bytes() const noexcept { return octets.bytes().first(size); }
  // MPPE uses the leading 16 octets (RFC 3079 §3, RFC 2716 §3.5).
  [[nodiscard]] std::span<const std::byte, 16> leading() const noexcept {
    return octets.bytes().first<16>();
  }
};

enum class MppeKeyError : std::uint8_t {
  missing,        // one of the two keys
  length,         // not a salt and blocks of 16 octets
  salt,           // its first bit is clear
  repeated_salt,  // both keys have the same
  key_length,     // inside: neither 16 nor 32, or beyond the value
  kCount
};
[[nodiscard]] constexpr std::string_view name_of(MppeKeyError error) noexcept {
  constexpr std::array<std::string_view, static_cast<std::size_t>(MppeKeyError::kCount)> kNames = {
      "missing", "length", "salt", "repeated_salt", "key_length"};
  return kNames[static_cast<std::size_t>(error)];
}

[[nodiscard]] std::expected<MppeKey, MppeKeyError> reveal_mppe_key(
    Bytes value, Bytes secret, const Authenticator& request) noexcept;

// Adds the key, 16 or 32 octets, to an Access-Accept. `salt`: its first bit is set here.
void add_mppe_key(PacketBuilder& builder, AttributeId id, Bytes key, std::uint16_t salt,
                  Bytes secret, const Authenticator& request) noexcept;

struct MppeKeyPair {
  MppeKey send;     // server → client: MS-MPPE-Send-Key
  MppeKey receive;  // client → server
};

// The keys of an Access-Accept; none when it has neither attribute. Where an attribute comes twice
// the last one counts: the first one is of an inner method (FreeRADIUS issue 1868).
[[nodiscard]] std::expected<std::optional<MppeKeyPair>, MppeKeyError> read_mppe_keys(
    const PacketView& accept, Bytes secret, const Authenticator& request) noexcept;

// MS-CHAP-MPPE-Keys: hidden like a User-Password.
struct MsChapMppeKeys {
  Secret<8> lm;   // first 8 octets of the LM hash; zeros from a server that has none
  Secret<16> nt;  // PasswordHashHash (RFC 3079 §2.4), as servers send it
};

// Empty: the value is neither 24 octets nor those with their padding, 32.
[[nodiscard]] std::optional<MsChapMppeKeys> reveal_ms_chap_mppe_keys(
    Bytes value, Bytes secret, const Authenticator& request) noexcept;
void add_ms_chap_mppe_keys(PacketBuilder& builder, const MsChapMppeKeys& keys, Bytes secret,
                           const Authenticator& request) noexcept;

}  // namespace pns::radius
