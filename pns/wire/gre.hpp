// SPDX-License-Identifier: BSD-3-Clause
//
// The enhanced GRE header of PPTP (RFC 2637 §4.1), GRE version 1. Every other kind is refused with
// a reason. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"

namespace pns::wire {

inline constexpr std::uint16_t kGreChecksum = 0x8000;
inline constexpr std::uint16_t kGreRouting = 0x4000;
inline constexpr std::uint16_t kGreKey = 0x2000;
inline constexpr std::uint16_t kGreSequence = 0x1000;
inline constexpr std::uint16_t kGreStrictRoute = 0x0800;
inline constexpr std::uint16_t kGreRecursion = 0x0700;
inline constexpr std::uint16_t kGreAck = 0x0080;
inline constexpr std::uint16_t kGreFlags = 0x0078;
inline constexpr std::uint16_t kGreVersionMask = 0x0007;
inline constexpr std::uint16_t kGreVersionPptp = 1;
inline constexpr std::uint16_t kGreProtocolPpp = 0x880b;

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |C|R|K|S|s|Recur|A| Flags | Ver |         Protocol Type         |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |    Key (HW) Payload Length    |       Key (LW) Call ID        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                  Sequence Number (if S is 1)                  |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |               Acknowledgment Number (if A is 1)               |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct GreWireHeader {
  be16 flags;
  be16 protocol;
  be16 payload_length;
  be16 call_id;
};
static_assert(sizeof(GreWireHeader) == 8 && alignof(GreWireHeader) == 1);
static_assert(offsetof(GreWireHeader, call_id) == 6);

inline constexpr std::size_t kGreMinimumSize = 8;
inline constexpr std::size_t kGreMaximumSize = 16;

struct GreHeader {
  std::uint16_t payload_length = 0;  // octets of PPP frame
  std::uint16_t call_id = 0;         // of the receiver
  bool has_sequence = false;         // exactly when there is payload
  bool has_ack = false;
  std::uint32_t sequence = 0;
  std::uint32_t ack = 0;

  // Octets of this header.
  [[nodiscard]] constexpr std::size_t size() const noexcept {
    return size_with(has_sequence, has_ack);
  }
  [[nodiscard]] static constexpr std::size_t size_with(bool sequence, bool ack) noexcept {
    return kGreMinimumSize + (sequence ? 4U : 0U) + (ack ? 4U : 0U);
  }
  friend bool operator==(const GreHeader&, const GreHeader&) noexcept = default;
};

// The fault of the header at the front of `packet`, which ends where the IPv4 packet ends:
// the payload is the payload_length octets after size(); surplus behind them is padding. kNone ·
// gre_truncated · gre_version · gre_protocol · gre_flags · gre_payload_length.
[[nodiscard]] inline DropReason check_gre(Bytes packet) noexcept {
  if (packet.size() < kGreMinimumSize) return DropReason::gre_truncated;
  const auto words = load_be<std::uint64_t>(packet.data());
  const auto flags = static_cast<std::uint16_t>(words >> 48);
  const auto protocol = static_cast<std::uint16_t>(words >> 32);
  constexpr std::uint16_t kFree = kGreSequence | kGreAck;
  if ((flags & ~kFree) != (kGreKey | kGreVersionPptp) || protocol != kGreProtocolPpp) [[unlikely]] {
    if ((flags & kGreVersionMask) != kGreVersionPptp) return DropReason::gre_version;
    return protocol != kGreProtocolPpp ? DropReason::gre_protocol : DropReason::gre_flags;
  }
  const auto payload_length = static_cast<std::uint16_t>(words >> 16);
  const bool has_sequence = (flags & kGreSequence) != 0;
  const std::size_t size = GreHeader::size_with(has_sequence, (flags & kGreAck) != 0);
  if (packet.size() < size) return DropReason::gre_truncated;
  if (has_sequence != (payload_length != 0) || payload_length > packet.size() - size)
    return DropReason::gre_payload_length;
  return DropReason::kNone;
}
// Precondition: check_gre() has accepted the packet.
[[nodiscard]] inline GreHeader read_gre(Bytes packet) noexcept {
  const auto words = load_be<std::uint64_t>(packet.data());
  GreHeader header;
  header.payload_length = static_cast<std::uint16_t>(words >> 16);
  header.call_id = static_cast<std::uint16_t>(words);
  header.has_sequence = (words >> 48 & kGreSequence) != 0;
  header.has_ack = (words >> 48 & kGreAck) != 0;
  if (header.has_sequence)
    header.sequence = load_be<std::uint32_t>(packet.data() + kGreMinimumSize);
  if (header.has_ack)
    header.ack = load_be<std::uint32_t>(packet.data() + header.size() - sizeof(header.ack));
  return header;
}

// Both in one. On the packet's path they are two: an expected goes through memory.
[[nodiscard]] inline std::expected<GreHeader, DropReason> parse_gre(Bytes packet) noexcept {
  if (const DropReason why = check_gre(packet); why != DropReason::kNone)
    return std::unexpected(why);
  return read_gre(packet);
}

// Precondition: the header has 8 octets or more; it need not be checked.
[[nodiscard]] inline std::uint16_t call_id_of(Bytes packet) noexcept {
  return load_be<std::uint16_t>(packet.data() + offsetof(GreWireHeader, call_id));
}

// The same precondition.
[[nodiscard]] inline bool has_ack(Bytes packet) noexcept {
  return (load_be<std::uint16_t>(packet.data()) & kGreAck) != 0;
}

// Writes size() octets; 0 when they do not fit. has_sequence must agree with payload_length.
inline std::size_t write_gre(MutableBytes out, const GreHeader& header) noexcept {
  const std::size_t size = header.size();
  if (out.size() < size) return 0;
  const unsigned flags = kGreKey | kGreVersionPptp | (header.has_sequence ? kGreSequence : 0U) |
                         (header.has_ack ? kGreAck : 0U);
  store_be(out.data(), std::uint64_t{flags} << 48 | std::uint64_t{kGreProtocolPpp} << 32 |
                           std::uint64_t{header.payload_length} << 16 | header.call_id);
  if (header.has_sequence) store_be(out.data() + kGreMinimumSize, header.sequence);
  if (header.has_ack) store_be(out.data() + size - sizeof(header.ack), header.ack);
  return size;
}

}  // namespace pns::wire
