// SPDX-License-Identifier: BSD-3-Clause
//
// IPv4 header (RFC 791 §3.1): parse with every check a router makes (RFC 1812 §5.2.2), write, and
// the small in-place edits of forwarding. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::wire {

inline constexpr std::uint8_t kIpProtocolIcmp = 1;
inline constexpr std::uint8_t kIpProtocolTcp = 6;
inline constexpr std::uint8_t kIpProtocolUdp = 17;
inline constexpr std::uint8_t kIpProtocolGre = 47;

inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4OffsetMask = 0x1fff;  // units of 8 octets

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |Version|  IHL  |Type of Service|          Total Length         |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |         Identification        |Flags|      Fragment Offset    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |  Time to Live |    Protocol   |         Header Checksum       |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                       Source Address                          |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                    Destination Address                        |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                    Options                    |    Padding    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct Ipv4WireHeader {
  std::uint8_t version_ihl;
  std::uint8_t type_of_service;
  be16 total_length;
  be16 identification;
  be16 flags_offset;
  std::uint8_t time_to_live;
  std::uint8_t protocol;
  be16 checksum;
  be32 source;
  be32 destination;
};
static_assert(sizeof(Ipv4WireHeader) == 20 && alignof(Ipv4WireHeader) == 1);
static_assert(offsetof(Ipv4WireHeader, time_to_live) == 8);
static_assert(offsetof(Ipv4WireHeader, checksum) == 10);
static_assert(offsetof(Ipv4WireHeader, destination) == 16);

inline constexpr std::size_t kIpv4HeaderSize = sizeof(Ipv4WireHeader);

struct Ipv4Header {
  std::uint8_t header_length = kIpv4HeaderSize;  // octets, options included
  std::uint8_t type_of_service = 0;
  std::uint16_t total_length = 0;  // octets, header included
  std::uint16_t identification = 0;
  std::uint8_t time_to_live = 0;
  std::uint8_t protocol = 0;
  // Not in one word with the protocol: a test of both would load what two stores have just written
  // and wait for them.
  bool dont_fragment = false;
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // octets
  Ipv4Address source;
  Ipv4Address destination;

  [[nodiscard]] constexpr bool is_fragment() const noexcept {
    return more_fragments || fragment_offset != 0;
  }
  friend bool operator==(const Ipv4Header&, const Ipv4Header&) noexcept = default;
};

// The header at the front of `packet`, which may be longer than Total Length (padding).
// frame_truncated · ip_version · ip_header_length · ip_total_length · ip_checksum.
[[nodiscard]] std::expected<Ipv4Header, DropReason> parse_ipv4(Bytes packet) noexcept;

// The header of a packet that parse_ipv4() has accepted before, without checking again.
[[nodiscard]] Ipv4Header read_ipv4(Bytes packet) noexcept;

// Writes 20 octets (no options; header_length is ignored) with the right checksum.
// 0 when they do not fit.
std::size_t write_ipv4(MutableBytes out, const Ipv4Header& header) noexcept;

// TTL of a parsed packet.
[[nodiscard]] inline std::uint8_t time_to_live(Bytes packet) noexcept {
  return std::to_integer<std::uint8_t>(packet[offsetof(Ipv4WireHeader, time_to_live)]);
}

// Takes one from the TTL of a parsed packet and mends the checksum (RFC 1141, RFC 1624).
// The TTL must not be 0.
void decrement_ttl(MutableBytes packet) noexcept;

// A destination no router forwards to: "this" network, loopback, multicast, class E and broadcast
// (RFC 1812 §5.3.7, §4.2.2.11).
[[nodiscard]] constexpr bool is_unforwardable(Ipv4Address destination) noexcept {
  return (destination.value >> 24) == 0 || destination.is_loopback() ||
         (destination.value >> 28) >= 0xe;
}

}  // namespace pns::wire
