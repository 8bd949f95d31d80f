// SPDX-License-Identifier: BSD-3-Clause
//
// ICMP errors a router sends (RFC 792, RFC 1191 §4, RFC 1812 §4.3.2): when one may be sent, and the
// whole packet. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::wire {

inline constexpr std::uint8_t kIcmpDestinationUnreachable = 3;
inline constexpr std::uint8_t kIcmpCodeNetUnreachable = 0;
inline constexpr std::uint8_t kIcmpCodeHostUnreachable = 1;
inline constexpr std::uint8_t kIcmpCodeFragmentationNeeded = 4;
inline constexpr std::uint8_t kIcmpCodeProhibited = 13;  // RFC 1812 §5.2.7.1
inline constexpr std::uint8_t kIcmpSourceQuench = 4;
inline constexpr std::uint8_t kIcmpRedirect = 5;
inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |     Type      |     Code      |          Checksum             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |            unused             |         Next-Hop MTU          |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |      Internet Header + at least 64 bits of Original Data      |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct IcmpErrorHeader {
  std::uint8_t type;
  std::uint8_t code;
  be16 checksum;
  be16 unused;
  be16 next_hop_mtu;  // 0 but for "fragmentation needed"
};
static_assert(sizeof(IcmpErrorHeader) == 8 && alignof(IcmpErrorHeader) == 1);
static_assert(offsetof(IcmpErrorHeader, next_hop_mtu) == 6);

// The longest error, IPv4 header included (RFC 1812 §4.3.2.3).
inline constexpr std::size_t kMaxIcmpError = 576;

struct IcmpError {
  std::uint8_t type = kIcmpDestinationUnreachable;
  std::uint8_t code = 0;
  std::uint16_t next_hop_mtu = 0;  // octets
};

// False for what must not cause an error: ICMP errors, fragments but the first, and sources or
// destinations that are not one host (RFC 1812 §4.3.2.7). `packet` starts at a parsed header.
[[nodiscard]] bool may_cause_icmp_error(const Ipv4Header& header, Bytes packet) noexcept;

// Writes the whole error packet from `source` to the sender of `packet` (a parsed IPv4 packet),
// quoting as much of it as 576 octets take. Returns its length; 0 when `out` is too short.
std::size_t write_icmp_error(MutableBytes out, const IcmpError& error, Ipv4Address source,
                             const Ipv4Header& header, Bytes packet) noexcept;

// Turns a whole Echo Request, `header` parsed from `packet`, into its reply, in place: addresses
// swapped, time to live 64, checksums mended. False, and nothing changed, for anything else
// (fragments too).
bool answer_echo(MutableBytes packet, const Ipv4Header& header) noexcept;

}  // namespace pns::wire
