// SPDX-License-Identifier: BSD-3-Clause
//
// MPPE (RFC 3078): the scalar reference over a DirectionState. One state per direction, one owner.
// 128, 56 and 40 bit, stateless and stateful.
//
// Not here: negotiation (CCP), key derivation from credentials (pns/crypto), the burst engine
// (dataplane/mppe), which must agree with this octet for octet.
//
// One rule beyond the RFC: a receiver derives keys on a copy and keeps them only when the plain
// text looks right, so that a forged packet cannot spoil the key chain. The caller bounds the key
// changes that one packet may cost (extra_key_changes()).
//
// MPPE protects no integrity and RC4 is weak; this is for peers that speak nothing better.
// Nothing here allocates, throws or keeps a pointer. No temporary key outlives its call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>

#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/mppe/state.hpp"

namespace pns::mppe {

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |A|B|C|D|    Coherency Count    |     Encrypted Data…           |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
inline constexpr std::uint16_t kFlushed = 0x8000;    // A: keys were set up for this packet
inline constexpr std::uint16_t kEncrypted = 0x1000;  // D
inline constexpr std::uint16_t kCoherencyMask = 0x0fff;
inline constexpr std::size_t kHeaderSize = 2;

// Protocols that may be encrypted (RFC 3078 §3).
inline constexpr std::uint16_t kFirstProtocol = 0x0021;
inline constexpr std::uint16_t kLastProtocol = 0x00fa;

// Counts that lie this far ahead of the expected one, or farther, are behind it: the count has 12
// bits.
inline constexpr unsigned kHalfCountSpace = 2048;

// A stateful Linux peer changes its key at each flushed packet. So many of them in a row may be
// lost without losing its key.
inline constexpr unsigned kMaxLostFlushes = 8;

// Sets a direction up from its asymmetric start key (RFC 3079 §3.3). key_bits: 40, 56 or 128; the
// first 8 octets of the key are used for 40 and 56. mode kOff forgets everything.
void init(DirectionState& state, std::span<const std::byte, 16> start_key, unsigned key_bits,
          Mode mode) noexcept;

// Overwrites keys and counters; mode kOff.
void forget(DirectionState& state) noexcept;

// Decrypts one packet in place. `packet`: MPPE header and encrypted data, no padding.
// Result: the inner frame, from its Protocol field (one or two octets; a network protocol) on. On
// failure the state still opens what it opened before, and the packet's data is not to be used:
// mppe_not_open · mppe_truncated · mppe_flags · mppe_gap (late) · mppe_garbage · mppe_resync
// (stateful: packets were lost; ask for a reset, RFC 3078 §8.2).
// The packet costs as many key changes as packets are missing before it.
[[nodiscard]] std::expected<MutableBytes, DropReason> open(DirectionState& state,
                                                           MutableBytes packet) noexcept;

// The same when the caller knows how many packets are missing before this one: `missing`, of which
// the count in the packet must be the low 12 bits ahead of the expected one. `certain`: the text
// must be one that only the right key yields, even when nothing is missing.
[[nodiscard]] std::expected<MutableBytes, DropReason> open(DirectionState& state,
                                                           MutableBytes packet,
                                                           std::uint32_t missing,
                                                           bool certain) noexcept;

// How far the count of a packet is ahead of the expected one, 0 to 4,095. The packet has its
// header.
[[nodiscard]] unsigned counts_ahead(const DirectionState& state, Bytes packet) noexcept;

// Key changes from state.session_key to the key of a packet before which `missing` others are
// missing: one for each packet of a stateless direction, one for each 256 counts of a stateful one.
[[nodiscard]] std::uint32_t key_changes(const DirectionState& state,
                                        std::uint32_t missing) noexcept;

// Key changes that open() may make for this packet beyond those of a packet in order: 0 for a
// packet in order, and for one that open() refuses without key work.
[[nodiscard]] std::uint32_t extra_key_changes(const DirectionState& state, Bytes packet,
                                              std::uint32_t missing) noexcept;

// Encrypts one packet in place. `frame`: kHeaderSize octets of room, then the inner frame from its
// Protocol field on. The state has moved on before the first octet is encrypted, so a process that
// dies here can lose a key but never use one twice. Result: the whole of `frame`; mppe_not_open;
// mppe_truncated when there is no inner frame.
[[nodiscard]] std::expected<MutableBytes, DropReason> seal(DirectionState& state,
                                                           MutableBytes frame) noexcept;

// Stateful sender: the peer sent a CCP Reset-Request; the next packet starts afresh, FLUSHED.
void request_flush(DirectionState& state) noexcept;

// A process died while it worked on this state: finishes a half-written key change, and makes a
// stateful direction start afresh. Call once before the state is used again.
void recover(DirectionState& state) noexcept;

// --- the steps, for the burst engine ---

// The rest of open() when the caller has made the key changes: `key` is the session key after
// key_changes(state, missing) of them. Only for packets that open() would try to decrypt:
// stateless, or stateful and FLUSHED.
[[nodiscard]] std::expected<MutableBytes, DropReason> open_with(DirectionState& state,
                                                                std::span<const std::byte, 16> key,
                                                                MutableBytes packet,
                                                                std::uint32_t missing,
                                                                bool certain) noexcept;

// One key change (RFC 3078 §7.3) of `session_key` in place.
void change_key(std::span<const std::byte, 16> start_key, std::span<std::byte, 16> session_key,
                unsigned key_bits) noexcept;

// Makes (key, coherency) the state of a direction, in an order of stores that recover() can finish
// when the process dies between any two of them. The cipher state of a stateful one is the
// caller's.
void commit(DirectionState& state, std::span<const std::byte, 16> session_key,
            std::uint16_t coherency) noexcept;

// Stateful, the packet of the expected count, which neither changes the key nor is FLUSHED: works
// on the state's own table, which is worth nothing when the process dies meanwhile, and recover()
// takes it for that. open_next: false when the text is not plausible; the state is as before then,
// and the data not to be used.
[[nodiscard]] bool open_next(DirectionState& state, MutableBytes data,
                             bool certain = false) noexcept;
void seal_next(DirectionState& state, MutableBytes data) noexcept;

// Octets of plain text that is_plausible() wants to see, if there are so many.
inline constexpr std::size_t kPlausibleHead = 64;

// Whether decrypted text looks like a frame of ours: IPv4 or IPv6 by protocol and version, another
// network protocol by its number. `certain`: nothing but the right key makes it pass (IPv4 header
// checksum and lengths, IPv6 lengths): wanted when counts are missing, since a wrong guess would
// then cost the session. `size`: octets of the whole inner frame, of which `head` is the front.
[[nodiscard]] bool is_plausible(Bytes head, std::size_t size, bool certain) noexcept;

}  // namespace pns::mppe
