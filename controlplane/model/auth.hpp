// SPDX-License-Identifier: BSD-3-Clause
//
// What the PPP link asks of AAA and what it gets back. Plain values; no secrets leave in a printer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pns/base/end_reason.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/secret.hpp"

namespace pns::model {

enum class AuthMethod : std::uint8_t { kNone, kPap, kChapMd5, kMsChap, kMsChapV2, kEap };

[[nodiscard]] constexpr std::string_view name_of(AuthMethod method) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {"none",   "pap",      "chap",
                                                      "mschap", "mschapv2", "eap"};
  return kNames[static_cast<std::size_t>(method)];
}

// RFC 2759 §4: what the Response packet carried, with the challenge it answers.
struct MsChapV2Credentials {
  std::array<std::byte, 16> authenticator_challenge{};
  std::array<std::byte, 16> peer_challenge{};
  std::array<std::byte, 24> nt_response{};
};

struct AuthRequest {
  std::string user;  // exactly as the peer sent it, DOMAIN\ included; octets, at most 256
  std::variant<MsChapV2Credentials> credentials;  // further methods add alternatives
  Ipv4Address peer;                               // outer address of the subscriber

  [[nodiscard]] AuthMethod method() const noexcept { return AuthMethod::kMsChapV2; }
};

// RFC 3079 §3.3 master session keys for 128 bit, from the server's point of view.
struct MppeKeys {
  Secret<16> send;     // server → client
  Secret<16> receive;  // client → server
};

struct AuthGrant {
  std::string user;  // the account's name
  AuthMethod method = AuthMethod::kNone;
  std::string authenticator_response;       // MS-CHAPv2: "S=" and 40 hex digits (RFC 2759 §5)
  std::optional<MppeKeys> mppe;             // absent: the method gives no keys
  std::optional<Ipv4Address> address;       // fixed address; absent: from the pool
  std::optional<Ipv6Prefix> ipv6_prefix{};  // fixed /64; absent: from the pool, where it has any
  std::string pool = "default";
  std::optional<std::uint64_t> rate_bits_per_second;
  std::vector<std::string> groups;
};

struct AuthDenial {
  EndReason reason = EndReason::auth_failed;
  std::uint16_t ms_chap_error = 691;  // RFC 2759 §6: E= code
};

using AuthResult = std::expected<AuthGrant, AuthDenial>;

}  // namespace pns::model
