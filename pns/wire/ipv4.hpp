// SPDX-License-Identifier: BSD-3-Clause
//
// IPv4 header (RFC 791 §3.1): parse with every check a router makes (RFC 1812 §5.2.2), write, and
// the small in-place edits of forwarding. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/checksum.hpp"

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

// The fixed part of a header as three integers: no field is put together in memory, and a caller
// pays only for the fields it asks for.
struct Ipv4Words {
  std::uint64_t first, second;  // version to fragment offset; TTL to source
  std::uint32_t destination;

  // `at`: 20 octets.
  explicit Ipv4Words(const std::byte* at) noexcept
      : first(load_be<std::uint64_t>(at)),
        second(load_be<std::uint64_t>(at + 8)),
        destination(load_be<std::uint32_t>(at + 16)) {}

  [[nodiscard]] std::size_t header_length() const noexcept { return (first >> 56 & 0xf) * 4; }
  [[nodiscard]] std::uint16_t total_length() const noexcept {
    return static_cast<std::uint16_t>(first >> 32);
  }
  // The checksum of a header without options. A one's complement sum of 16-bit words is the value
  // of all words together modulo 0xffff; it cannot be 0 with a version in it.
  [[nodiscard]] bool sum_is_right() const noexcept {
    constexpr std::uint64_t kLow = 0xffffffff;
    const std::uint64_t sum =
        (first >> 32) + (first & kLow) + (second >> 32) + (second & kLow) + destination;
    return sum % 0xffff == 0;
  }
  [[nodiscard]] Ipv4Header header() const noexcept {
    Ipv4Header header;
    header.header_length = static_cast<std::uint8_t>(header_length());
    header.type_of_service = static_cast<std::uint8_t>(first >> 48);
    header.total_length = total_length();
    header.identification = static_cast<std::uint16_t>(first >> 16);
    header.dont_fragment = (first & kIpv4DontFragment) != 0;
    header.more_fragments = (first & kIpv4MoreFragments) != 0;
    header.fragment_offset = static_cast<std::uint16_t>((first & kIpv4OffsetMask) * 8);
    header.time_to_live = static_cast<std::uint8_t>(second >> 56);
    header.protocol = static_cast<std::uint8_t>(second >> 48);
    header.source = Ipv4Address(static_cast<std::uint32_t>(second));
    header.destination = Ipv4Address(destination);
    return header;
  }
};

namespace detail {
// Any header but those of version 4 without options. `packet`: 20 octets or more.
[[nodiscard, gnu::noinline]] inline DropReason check_unusual_ipv4(Bytes packet) noexcept {
  const Ipv4Words words(packet.data());
  if ((words.first >> 60) != 4) return DropReason::ip_version;
  const std::size_t header_length = words.header_length();
  if (header_length < kIpv4HeaderSize || header_length > packet.size())
    return DropReason::ip_header_length;
  const std::size_t total_length = words.total_length();
  if (total_length < header_length || total_length > packet.size())
    return DropReason::ip_total_length;
  return internet_checksum(packet.first(header_length)) == 0 ? DropReason::kNone
                                                             : DropReason::ip_checksum;
}
}  // namespace detail

// The fault of the header at the front of `packet`, which may be longer than Total Length
// (padding). kNone · frame_truncated · ip_version · ip_header_length · ip_total_length ·
// ip_checksum.
[[nodiscard, gnu::always_inline]] inline DropReason check_ipv4(Bytes packet) noexcept {
  if (packet.size() < kIpv4HeaderSize) return DropReason::frame_truncated;
  const Ipv4Words words(packet.data());
  if ((words.first >> 56) != 0x45) return detail::check_unusual_ipv4(packet);
  const std::size_t total_length = words.total_length();
  if (total_length < kIpv4HeaderSize || total_length > packet.size())
    return DropReason::ip_total_length;
  return words.sum_is_right() ? DropReason::kNone : DropReason::ip_checksum;
}
// Precondition: check_ipv4() has accepted the packet, now or before.
[[nodiscard]] inline Ipv4Header read_ipv4(Bytes packet) noexcept {
  return packet.size() < kIpv4HeaderSize ? Ipv4Header{} : Ipv4Words(packet.data()).header();
}

// Both in one. On the packet's path they are two: an expected goes through memory.
[[nodiscard]] inline std::expected<Ipv4Header, DropReason> parse_ipv4(Bytes packet) noexcept {
  if (const DropReason why = check_ipv4(packet); why != DropReason::kNone)
    return std::unexpected(why);
  return read_ipv4(packet);
}

// Writes 20 octets (no options; header_length is ignored) with the right checksum.
// 0 when they do not fit.
inline std::size_t write_ipv4(MutableBytes out, const Ipv4Header& header) noexcept {
  if (out.size() < kIpv4HeaderSize) return 0;
  const auto flags_offset = static_cast<std::uint16_t>(
      (header.dont_fragment ? kIpv4DontFragment : 0) |
      (header.more_fragments ? kIpv4MoreFragments : 0) | (header.fragment_offset / 8));
  // From the values, not from the octets just stored: the CPU would have to wait for those.
  std::uint32_t sum = (0x4500U | header.type_of_service) + header.total_length +
                      header.identification + flags_offset +
                      static_cast<std::uint32_t>(header.time_to_live << 8 | header.protocol) +
                      (header.source.value >> 16) + (header.source.value & 0xffff) +
                      (header.destination.value >> 16) + (header.destination.value & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto checksum = static_cast<std::uint16_t>(~sum);
  // In words of the widest kind, made in registers: octets put together in memory are waited for.
  const std::array<std::uint64_t, 2> words = {
      __builtin_bswap64(std::uint64_t{0x45} << 56 | std::uint64_t{header.type_of_service} << 48 |
                        std::uint64_t{header.total_length} << 32 |
                        std::uint64_t{header.identification} << 16 | flags_offset),
      __builtin_bswap64(std::uint64_t{header.time_to_live} << 56 |
                        std::uint64_t{header.protocol} << 48 | std::uint64_t{checksum} << 32 |
                        header.source.value)};
  const be32 destination = header.destination.wire();
  std::memcpy(out.data(), words.data(), sizeof(words));
  std::memcpy(out.data() + offsetof(Ipv4WireHeader, destination), &destination,
              sizeof(destination));
  return kIpv4HeaderSize;
}

// TTL of a parsed packet.
[[nodiscard]] inline std::uint8_t time_to_live(Bytes packet) noexcept {
  return std::to_integer<std::uint8_t>(packet[offsetof(Ipv4WireHeader, time_to_live)]);
}

// Takes one from the TTL of a parsed packet and mends the checksum (RFC 1141, RFC 1624).
// The TTL must not be 0.
inline void decrement_ttl(MutableBytes packet) noexcept {
  if (packet.size() < kIpv4HeaderSize) return;
  std::byte* const at = &packet[offsetof(Ipv4WireHeader, time_to_live)];
  // TTL, protocol and checksum. The word that holds the TTL loses 0x0100, whatever else is in it.
  const auto word = load_be<std::uint32_t>(at);
  const std::uint16_t sum = update_checksum(static_cast<std::uint16_t>(word), 0x0100, 0x0000);
  store_be<std::uint32_t>(at, ((word - 0x0100'0000U) & 0xffff'0000U) | sum);
}

// A destination no router forwards to: "this" network, loopback, multicast, class E and broadcast
// (RFC 1812 §5.3.7, §4.2.2.11).
[[nodiscard]] constexpr bool is_unforwardable(Ipv4Address destination) noexcept {
  return (destination.value >> 24) == 0 || destination.is_loopback() ||
         (destination.value >> 28) >= 0xe;
}

}  // namespace pns::wire
