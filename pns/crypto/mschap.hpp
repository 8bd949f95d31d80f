// SPDX-License-Identifier: BSD-3-Clause
//
// MS-CHAPv2 (RFC 2759 §8) with the pieces of MS-CHAP (RFC 2433) that it needs. Computation only;
// packets are in pns/wire/ppp_control.hpp and their order in controlplane/ppp. Function names are
// those of RFC 2759 §8. Pure functions, any thread. Intermediate secrets are wiped.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/secret.hpp"

namespace pns::crypto {

using PasswordHash = Secret<16>;
using NtResponse = std::array<std::byte, 24>;
using Challenge8 = std::array<std::byte, 8>;

// The name without a leading DOMAIN\: what goes into ChallengeHash, as Windows does. The part after
// the last backslash.
[[nodiscard]] std::string_view user_without_domain(std::string_view user) noexcept;

// NtPasswordHash (§8.3): MD4 of the password in UTF-16LE. `password` is UTF-8; empty when it is not
// well formed (overlong, surrogate, above U+10FFFF, cut).
[[nodiscard]] std::optional<PasswordHash> nt_password_hash(std::string_view password);

// HashNtPasswordHash (§8.4).
[[nodiscard]] PasswordHash hash_nt_password_hash(const PasswordHash& password_hash) noexcept;

// ChallengeHash (§8.2). `user` is hashed as given: strip the domain first.
[[nodiscard]] Challenge8 challenge_hash(std::span<const std::byte, 16> peer_challenge,
                                        std::span<const std::byte, 16> authenticator_challenge,
                                        std::string_view user) noexcept;

// ChallengeResponse (§8.5).
[[nodiscard]] NtResponse challenge_response(std::span<const std::byte, 8> challenge,
                                            const PasswordHash& password_hash) noexcept;

// GenerateNTResponse (§8.1) from the password's hash.
[[nodiscard]] NtResponse generate_nt_response(
    std::span<const std::byte, 16> authenticator_challenge,
    std::span<const std::byte, 16> peer_challenge, std::string_view user,
    const PasswordHash& password_hash) noexcept;

// GenerateAuthenticatorResponse (§8.7) from the password's hash: "S=" and 40 upper-case hex digits.
[[nodiscard]] std::string generate_authenticator_response(
    const PasswordHash& password_hash, std::span<const std::byte, 24> nt_response,
    std::span<const std::byte, 16> peer_challenge,
    std::span<const std::byte, 16> authenticator_challenge, std::string_view user);

// CheckAuthenticatorResponse (§8.8), the client's side of it. `received` begins with "S=" and 40
// hex digits; what follows is not judged.
[[nodiscard]] bool check_authenticator_response(
    const PasswordHash& password_hash, std::span<const std::byte, 24> nt_response,
    std::span<const std::byte, 16> peer_challenge,
    std::span<const std::byte, 16> authenticator_challenge, std::string_view user,
    std::string_view received);

}  // namespace pns::crypto
