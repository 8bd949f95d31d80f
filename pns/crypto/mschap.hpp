// SPDX-License-Identifier: BSD-3-Clause
//
// MS-CHAPv2 (RFC 2759 §8) and MS-CHAP (RFC 2433 appendix A). Computation only; packets are in
// pns/wire/ppp_control.hpp and pns/wire/ppp_auth.hpp, and their order in controlplane/ppp. Function
// names are those of RFC 2759 §8. Pure functions, any thread. Intermediate secrets are wiped.
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

// The same for a password that is UTF-16LE already, as a Change-Password packet carries it.
[[nodiscard]] PasswordHash nt_password_hash_of_utf16(Bytes password) noexcept;

// LmPasswordHash (RFC 2433 appendix A): two DES blocks under the password in upper case, zero
// padded. Only the keys of MS-CHAPv1 for 40 and 56 bit come from it; it never authenticates. Empty
// for a password that is not 1 to 14 ASCII characters: beyond those two machines do not agree on
// it.
[[nodiscard]] std::optional<PasswordHash> lm_password_hash(std::string_view password) noexcept;

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

// ---- Change-Password (§7).

inline constexpr std::size_t kEncryptedPasswordLength = 516;
using EncryptedPassword = std::array<std::byte, kEncryptedPasswordLength>;

// NewPasswordEncryptedWithOldNtPasswordHash (§8.9), undone: the new password in UTF-16LE, a view of
// `clear`, which the caller wipes. Empty when its length is odd, zero or above 512: the key was
// another one.
[[nodiscard]] std::optional<Bytes> decrypt_new_password(const EncryptedPassword& encrypted,
                                                        const PasswordHash& old_hash,
                                                        EncryptedPassword& clear) noexcept;

// OldNtPasswordHashEncryptedWithNewNtPasswordHash (§8.12, §8.13).
[[nodiscard]] std::array<std::byte, 16> old_hash_encrypted_with_new(
    const PasswordHash& old_hash, const PasswordHash& new_hash) noexcept;

// NewPasswordEncryptedWithOldNtPasswordHash (§8.9, §8.10), the client's side. `padding` is what the
// password leaves of 512 octets: random. `new_password` is UTF-8 of at most 256 UTF-16 units, else
// the result is empty.
[[nodiscard]] std::optional<EncryptedPassword> encrypt_new_password(
    std::string_view new_password, const PasswordHash& old_hash, const EncryptedPassword& padding);

}  // namespace pns::crypto
