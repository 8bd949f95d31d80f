// SPDX-License-Identifier: BSD-3-Clause
//
// MD4, MD5, SHA-1, HMAC-MD5, single DES and RC4: a thin, typed face over nettle. These algorithms
// are broken for new designs; the protocols of this server (RFC 2759, RFC 3079, RFC 2865) fix them.
// MPPE has an RC4 of its own (pns/mppe), made for speed.
// Pure functions over the caller's memory, any thread, no allocation. Contexts are wiped.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "pns/base/bytes.hpp"

namespace pns::crypto {

using Md4Digest = std::array<std::byte, 16>;
using Md5Digest = std::array<std::byte, 16>;
using Sha1Digest = std::array<std::byte, 20>;

// Digest of the parts, one after the other.
[[nodiscard]] Md4Digest md4(std::initializer_list<Bytes> parts) noexcept;
[[nodiscard]] Md5Digest md5(std::initializer_list<Bytes> parts) noexcept;
[[nodiscard]] Sha1Digest sha1(std::initializer_list<Bytes> parts) noexcept;

// RFC 2104 with MD5 (RADIUS Message-Authenticator).
[[nodiscard]] Md5Digest hmac_md5(Bytes key, std::initializer_list<Bytes> parts) noexcept;

// A 56-bit key in seven octets spread over eight with odd parity (RFC 2759 §9.3).
[[nodiscard]] std::array<std::byte, 8> des_key_with_parity(
    std::span<const std::byte, 7> key) noexcept;

// DesEncrypt (RFC 2759 §8.6): one block under a key of seven octets.
[[nodiscard]] std::array<std::byte, 8> des_encrypt_block(
    std::span<const std::byte, 8> clear, std::span<const std::byte, 7> key) noexcept;

// RC4 under a key of 1 to 256 octets, in place; the same call encrypts and decrypts.
void rc4(Bytes key, MutableBytes data) noexcept;

}  // namespace pns::crypto
