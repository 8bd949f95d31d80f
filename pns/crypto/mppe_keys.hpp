// SPDX-License-Identifier: BSD-3-Clause
//
// MPPE session keys from MS-CHAPv1 (RFC 3079 §2) and MS-CHAPv2 credentials (RFC 3079 §3), and the
// key changes that MPPE itself
// makes (RFC 3078 §7). Key derivation only: no cipher, no coherency count; those are in pns/mppe.
// Pure functions over the caller's memory, no allocation but inside nettle's contexts on the stack;
// any thread. Intermediate key material is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "pns/base/secret.hpp"

namespace pns::crypto {

// Whose key is wanted, from this server's point of view (RFC 3079 §3.4 with IsServer = true).
enum class KeyDirection : std::uint8_t {
  kServerSend,  // we encrypt, the client decrypts: "On the client side, this is the receive key…"
  kServerReceive,  // the client encrypts, we decrypt: "On the client side, this is the send key…"
};

// GetMasterKey (RFC 3079 §3.4): SHA-1 over PasswordHashHash, NT-Response and a constant, first
// 16 octets. One master key serves both directions.
[[nodiscard]] Secret<16> get_master_key(std::span<const std::byte, 16> password_hash_hash,
                                        std::span<const std::byte, 24> nt_response) noexcept;

// GetAsymmetricStartKey (RFC 3079 §3.4). key_bits is 40, 56 or 128 and sets how many octets of the
// result are used: 128 takes 16; 40 and 56 take 8, the rest stays zero. The result is the start key
// *before* salting: RFC 3079 §3.1 and §3.2 run it through get_new_key_from_sha and reduce_key once
// to make the first session key (see first_session_key).
[[nodiscard]] Secret<16> get_asymmetric_start_key(std::span<const std::byte, 16> master_key,
                                                  unsigned key_bits,
                                                  KeyDirection direction) noexcept;

// Get_Start_Key (RFC 3079 §2.4), the start key of MS-CHAPv1 for 128 bit: SHA-1 over
// PasswordHashHash twice and the challenge, first 16 octets. The same for both directions. For 40
// and 56 bit the start key is the first 8 octets of the LM hash (§2.1, §2.2).
[[nodiscard]] Secret<16> get_start_key(std::span<const std::byte, 8> challenge,
                                       std::span<const std::byte, 16> password_hash_hash) noexcept;

// GetNewKeyFromSHA (RFC 3079 §3.4): InterimKey = SHA-1(StartKey[0..key_length] + SHApad1 +
// SessionKey[0..key_length] + SHApad2), first key_length octets into `out`; further octets of `out`
// are zeroed. key_length is 16 for 128 bit and 8 for 40 and 56 bit. `out` may be `session_key`.
//
// Not yet a session key after the first one: from the second on, the interim key is used to RC4
// itself (RFC 3078 §7.3), which the caller, who owns the cipher, does before reduce_key.
void get_new_key_from_sha(std::span<const std::byte, 16> start_key,
                          std::span<const std::byte, 16> session_key, std::size_t key_length,
                          std::span<std::byte, 16> out) noexcept;

// Sets the salt octets that weaken a key to key_bits: 40 writes D1 26 9E over octets 0..2, 56
// writes D1 over octet 0, 128 leaves the key as it is (RFC 3079 §3.1, §3.2; RFC 3078 §7.3).
void reduce_key(std::span<std::byte, 16> key, unsigned key_bits) noexcept;

// Octets of a key of this strength that take part in hashing and RC4: 16 for 128, else 8.
[[nodiscard]] constexpr std::size_t key_octets(unsigned key_bits) noexcept {
  return key_bits == 128 ? 16 : 8;
}

// The first session key of a direction (RFC 3079 §3.1-3.3): get_new_key_from_sha(start, start),
// then reduce_key. RC4 is set up with its first key_octets(key_bits) octets. A stateful session
// encrypts its packet 0 with this key. A stateless session makes one RFC 3078 §7.3 key change
// before every packet, packet 0 included, as all known peers do (Linux ppp_mppe.c: mppe_rekey).
[[nodiscard]] Secret<16> first_session_key(std::span<const std::byte, 16> start_key,
                                           unsigned key_bits) noexcept;

}  // namespace pns::crypto
