// SPDX-License-Identifier: BSD-3-Clause
//
// The questions of the PPP link to AAA, and the answers. Plain values; no secrets leave in a
// printer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "controlplane/model/service_terms.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/secret.hpp"
#include "pns/base/time.hpp"

namespace pns::model {

enum class AuthMethod : std::uint8_t { kNone, kPap, kChapMd5, kMsChap, kMsChapV2, kEap };

[[nodiscard]] constexpr std::string_view name_of(AuthMethod method) noexcept {
  constexpr std::array<std::string_view, 6> kNames = {"none",   "pap",      "chap",
                                                      "mschap", "mschapv2", "eap"};
  return kNames[static_cast<std::size_t>(method)];
}

// The credentials of the peer, by method. EAP shows one of these too, inside its own packets.

// RFC 1334 §2.2.1.
struct PapCredentials {
  SecretText password;  // octets, at most 255
};

// RFC 1994 §4.1: MD5 over identifier, password and challenge.
struct ChapMd5Credentials {
  std::array<std::byte, 16> challenge{};
  std::array<std::byte, 16> response{};
  std::uint8_t identifier = 0;  // of the Response, or of the EAP packet
};

// RFC 2433 §4.
struct MsChapCredentials {
  std::array<std::byte, 8> challenge{};
  std::array<std::byte, 24> nt_response{};
  std::uint8_t identifier = 0;
};

// RFC 2759 §4: what the Response packet carried, with the challenge it answers.
struct MsChapV2Credentials {
  std::array<std::byte, 16> authenticator_challenge{};
  std::array<std::byte, 16> peer_challenge{};
  std::array<std::byte, 24> nt_response{};
  std::uint8_t identifier = 0;
};

// RFC 2759 §7: a new password, and the response to the challenge that is right under it.
struct ChangePasswordCredentials {
  MsChapV2Credentials response;
  std::array<std::byte, 516> encrypted_password{};
  std::array<std::byte, 16> encrypted_hash{};
};

// A message of a method that a server judges in several rounds: an EAP packet as the peer sent it
// (RFC 3579 §2.1).
struct RelayedCredentials {
  std::vector<std::byte> message;  // octets, at most the peer's MRU
  std::vector<std::byte> state;    // of the AuthChallenge that it answers; empty: it is the first
};

using Credentials =
    std::variant<PapCredentials, ChapMd5Credentials, MsChapCredentials, MsChapV2Credentials,
                 ChangePasswordCredentials, RelayedCredentials>;

// The call that the question is about, for a server that keeps books.
struct AuthCall {
  SessionId session{};
  SlotId slot{};
  PeerCallId peer_call_id{};
  Ipv4Address local{};    // the address that the subscriber has dialled
  std::uint16_t mtu = 0;  // octets of a PPP frame's data that the peer receives at most
};

struct AuthRequest {
  std::string user;  // exactly as the peer sent it, DOMAIN\ included; octets, at most 256
  Credentials credentials;
  Ipv4Address peer;       // outer address of the subscriber
  AuthCall call{};        // the session fills it in
  std::string realm{};    // configured realm of the user; empty: none
  std::string account{};  // the name without a realm that is stripped; empty: as user
  // State of the Access-Accept that asked for this login (RFC 2865 §5.24); empty: none did.
  std::vector<std::byte> state{};

  // Accounts are looked up, limited and shown under this name.
  [[nodiscard]] std::string_view account_name() const noexcept {
    return account.empty() ? user : account;
  }

  // As the credentials tell: EAP that this process ends is not seen here.
  [[nodiscard]] AuthMethod method() const noexcept {
    constexpr std::array kMethods = {AuthMethod::kPap,      AuthMethod::kChapMd5,
                                     AuthMethod::kMsChap,   AuthMethod::kMsChapV2,
                                     AuthMethod::kMsChapV2, AuthMethod::kEap};
    static_assert(kMethods.size() == std::variant_size_v<Credentials>);
    return kMethods[credentials.index()];
  }
};

// Start keys (RFC 3079) for 128 bit, from the server's point of view; MS-CHAPv1 has one for both
// directions. MS-CHAPv2 uses their first 8 octets for 40 and 56 bit. With MS-CHAPv1 those come from
// elsewhere, or there are none (docs/decisions/0006).
struct MppeKeys {
  enum class Weak : std::uint8_t { kLeadingOctets, kOwn, kNone };

  Secret<16> send;     // server → client
  Secret<16> receive;  // client → server
  Weak weak = Weak::kLeadingOctets;
  Secret<16> weak_key{};  // kOwn: both directions, 8 octets

  // The keys for the dataplane. `key_bits` below 128 must not be asked of kNone.
  [[nodiscard]] MppeKeys for_strength(unsigned key_bits) const noexcept {
    if (key_bits == 128 || weak != Weak::kOwn) return *this;
    return {.send = weak_key, .receive = weak_key};
  }
};

// Encryption that the keeper of an account asks for (RFC 2548 §2.4.4, §2.4.5). The configuration
// may be stricter.
struct MppeTerms {
  bool required = false;
  bool bits40 = true;  // these strengths may be used
  bool bits56 = true;
  bool bits128 = true;
  friend bool operator==(const MppeTerms&, const MppeTerms&) = default;
};

// Terms of the link. Absent or unspecified: as the configuration says.
struct LinkTerms {
  std::array<Ipv4Address, 2> dns{};
  std::array<Ipv4Address, 2> wins{};
  std::array<Ipv6Address, 3> ipv6_dns{};
  std::uint16_t mtu = 0;  // octets of inner IP at most; 0: as the configuration says
  std::optional<MppeTerms> mppe;
  friend bool operator==(const LinkTerms&, const LinkTerms&) = default;
};

inline constexpr std::size_t kMaximumClasses = 8;  // Class attributes that are kept of an answer

// The keeper of an account, and what it wants to see again in accounting.
struct AuthOrigin {
  bool is_radius = false;                         // else: the users file
  std::vector<std::vector<std::byte>> classes{};  // RFC 2865 §5.25: unchanged, in their order
  std::string realm{};                            // as in AuthRequest
  friend bool operator==(const AuthOrigin&, const AuthOrigin&) = default;
};

struct AuthGrant {
  std::string user;  // the account's name
  AuthMethod method = AuthMethod::kNone;
  std::string authenticator_response;       // MS-CHAPv2: "S=" and 40 hex digits (RFC 2759 §5)
  std::optional<MppeKeys> mppe;             // absent: the method gives no keys
  std::optional<Ipv4Address> address;       // fixed address; absent: from the pool
  std::optional<Ipv6Prefix> ipv6_prefix{};  // fixed /64; absent: from the pool, where it has any
  std::optional<Ipv6Prefix> delegated_prefix{};  // fixed, for DHCPv6; absent: from the pool
  std::optional<Ipv6Address> ipv6_address{};     // fixed, for DHCPv6
  NetworksPointer networks{};                    // behind the subscriber
  std::string pool{};                            // empty: as the group or the dialled address says
  std::string ipv6_pool{};                       // of the /64; empty: the pool of the address
  std::string delegated_pool{};  // of the delegated prefix; empty: the pool of the address
  ServiceTerms terms{};
  LinkTerms link{};
  std::optional<std::uint32_t> sessions{};    // at once; absent: aaa.sessions_per_user; 0: any
  std::optional<Seconds> interim_interval{};  // of accounting; absent: as configured; 0: none
  // At the end of the session time the peer logs in again (RFC 2865 §5.29), with this State, which
  // may be empty. Absent: the session ends then.
  std::optional<std::vector<std::byte>> login_again{};
  std::vector<std::string> groups;
  AuthOrigin origin{};
};

struct AuthDenial {
  EndReason reason = EndReason::auth_failed;
  std::uint16_t ms_chap_error = 691;  // RFC 2759 §6: E= code
  bool may_retry = false;             // other credentials may be shown on the same call
  bool may_change_password = false;   // a Change-Password packet may follow (with 648)
  // C= of a server (RFC 2759 §6): the next response is over it, 16 octets, or 8 with MS-CHAPv1.
  // Empty: the link makes one.
  std::vector<std::byte> challenge{};
  // False: nobody looked at the credentials. The link ends, and the peer is told no more than that.
  bool is_verdict = true;
};

// The server asks for another message before it decides (RFC 2865 §2, Access-Challenge).
struct AuthChallenge {
  std::vector<std::byte> message;  // for the peer, inside the method's own packets
  std::vector<std::byte> state;    // opaque; goes back with the peer's answer (RFC 2865 §5.24)
  // The peer's time to answer before the message is repeated (RFC 3579 §2.6.1); empty: not told.
  std::optional<Seconds> repeat_after{};
};

// A grant, a denial or a challenge. It reads as an expected<AuthGrant, AuthDenial> does; who may
// get a challenge looks for that first.
class AuthResult {
 public:
  AuthResult(AuthGrant grant) : verdict_(std::move(grant)) {}
  AuthResult(AuthDenial denial) : verdict_(std::move(denial)) {}
  AuthResult(std::unexpected<AuthDenial> denial) : verdict_(std::move(denial).error()) {}
  AuthResult(AuthChallenge challenge) : verdict_(std::move(challenge)) {}

  // Null when it is another verdict.
  [[nodiscard]] const AuthChallenge* challenge() const noexcept {
    return std::get_if<AuthChallenge>(&verdict_);
  }
  [[nodiscard]] const AuthDenial* denial() const noexcept {
    return std::get_if<AuthDenial>(&verdict_);
  }
  // Granted.
  [[nodiscard]] bool has_value() const noexcept {
    return std::holds_alternative<AuthGrant>(verdict_);
  }
  [[nodiscard]] explicit operator bool() const noexcept { return has_value(); }
  // The grant and the denial. Precondition: it is one.
  [[nodiscard]] const AuthGrant& operator*() const { return std::get<AuthGrant>(verdict_); }
  [[nodiscard]] const AuthGrant* operator->() const { return &std::get<AuthGrant>(verdict_); }
  [[nodiscard]] const AuthDenial& error() const { return std::get<AuthDenial>(verdict_); }

 private:
  std::variant<AuthGrant, AuthDenial, AuthChallenge> verdict_;
};

}  // namespace pns::model
