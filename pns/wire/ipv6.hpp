// SPDX-License-Identifier: BSD-3-Clause
//
// IPv6 header (RFC 8200): parse with the checks a router makes, write, the walk over extension
// headers, and the one in-place edit of forwarding. No jumbograms (RFC 2675): no link of ours takes
// one. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::wire {

inline constexpr std::uint8_t kIpv6HopByHop = 0;
inline constexpr std::uint8_t kIpv6Routing = 43;
inline constexpr std::uint8_t kIpv6Fragment = 44;
inline constexpr std::uint8_t kIpv6Authentication = 51;
inline constexpr std::uint8_t kIpProtocolIcmpv6 = 58;
inline constexpr std::uint8_t kIpv6NoNextHeader = 59;
inline constexpr std::uint8_t kIpv6DestinationOptions = 60;

// Every link carries packets of this size (RFC 8200 §5).
inline constexpr std::uint16_t kIpv6MinimumMtu = 1280;

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |Version| Traffic Class |           Flow Label                  |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |         Payload Length        |  Next Header  |   Hop Limit   |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                    Source Address, 16 octets                  |
// |                 Destination Address, 16 octets                |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct Ipv6WireHeader {
  be32 version_class_label;
  be16 payload_length;
  std::uint8_t next_header;
  std::uint8_t hop_limit;
  std::array<BigEndian<std::uint64_t>, 2> source;
  std::array<BigEndian<std::uint64_t>, 2> destination;
};
static_assert(sizeof(Ipv6WireHeader) == 40 && alignof(Ipv6WireHeader) == 1);
static_assert(offsetof(Ipv6WireHeader, hop_limit) == 7);
static_assert(offsetof(Ipv6WireHeader, source) == 8);
static_assert(offsetof(Ipv6WireHeader, destination) == 24);

inline constexpr std::size_t kIpv6HeaderSize = sizeof(Ipv6WireHeader);

struct Ipv6Header {
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;      // 20 bits
  std::uint16_t payload_length = 0;  // octets after the 40 of the header
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 0;
  Ipv6Address source;
  Ipv6Address destination;

  // Octets of the whole packet.
  [[nodiscard]] constexpr std::uint32_t total_length() const noexcept {
    return static_cast<std::uint32_t>(kIpv6HeaderSize) + payload_length;
  }
  friend bool operator==(const Ipv6Header&, const Ipv6Header&) noexcept = default;
};

// The header of a packet that parse_ipv6() has accepted before, without checking again.
[[nodiscard]] inline Ipv6Header read_ipv6(Bytes packet) noexcept {
  Ipv6WireHeader wire;
  std::memcpy(&wire, packet.data(), sizeof(wire));
  const std::uint32_t first = wire.version_class_label.host();
  return {static_cast<std::uint8_t>(first >> 20),
          first & 0xfffff,
          wire.payload_length.host(),
          wire.next_header,
          wire.hop_limit,
          {wire.source[0].host(), wire.source[1].host()},
          {wire.destination[0].host(), wire.destination[1].host()}};
}

// The header at the front of `packet`, which may be longer than the packet it holds (padding).
// frame_truncated · ip_version · ip_total_length (a jumbogram's length of 0 too, RFC 2675 §3).
[[nodiscard]] inline std::expected<Ipv6Header, DropReason> parse_ipv6(Bytes packet) noexcept {
  if (packet.size() < kIpv6HeaderSize) return std::unexpected(DropReason::frame_truncated);
  if ((std::to_integer<unsigned>(packet[0]) >> 4) != 6)
    return std::unexpected(DropReason::ip_version);
  const Ipv6Header header = read_ipv6(packet);
  if (header.total_length() > packet.size() ||
      (header.payload_length == 0 && header.next_header == kIpv6HopByHop))
    return std::unexpected(DropReason::ip_total_length);
  return header;
}

// Writes 40 octets; 0 when they do not fit.
std::size_t write_ipv6(MutableBytes out, const Ipv6Header& header) noexcept;

// Hop limit of a parsed packet, and one less of it. It must not be 0.
[[nodiscard]] inline std::uint8_t hop_limit(Bytes packet) noexcept {
  return std::to_integer<std::uint8_t>(packet[offsetof(Ipv6WireHeader, hop_limit)]);
}
inline void decrement_hop_limit(MutableBytes packet) noexcept {
  std::byte& at = packet[offsetof(Ipv6WireHeader, hop_limit)];
  at = static_cast<std::byte>(std::to_integer<unsigned>(at) - 1);
}

// The protocol behind the extension headers.
struct UpperLayer {
  std::uint8_t protocol = kIpv6NoNextHeader;
  std::uint16_t offset = 0;     // octets from the front of the packet
  bool later_fragment = false;  // its header is in another packet
};

// Walks a parsed packet to its upper layer (RFC 8200 §4). Empty when the headers run over its end
// or there are more than 8 of them. Each step goes on by at least 8 octets.
[[nodiscard]] std::optional<UpperLayer> find_upper_layer(Bytes packet,
                                                         const Ipv6Header& header) noexcept;

// fe80:: and an interface identifier (RFC 5072 §5).
[[nodiscard]] constexpr Ipv6Address link_local(std::uint64_t interface_id) noexcept {
  return {0xfe80'0000'0000'0000, interface_id};
}

// Scope of a multicast address (RFC 4291 §2.7): 1 interface, 2 link, 14 global.
inline constexpr unsigned kScopeLink = 2;
[[nodiscard]] constexpr unsigned multicast_scope(const Ipv6Address& group) noexcept {
  return static_cast<unsigned>(group.high >> 48) & 0xf;
}

// An address that no router forwards to or from: unspecified, loopback, IPv4-mapped and the old
// IPv4-compatible ones, link-local, multicast (RFC 4291 §2.5, RFC 6890 §2.2.3).
[[nodiscard]] constexpr bool is_unforwardable(const Ipv6Address& address) noexcept {
  const bool embedded =
      address.high == 0 && ((address.low >> 32) == 0 || (address.low >> 32) == 0xffff);
  return embedded || address.is_link_local() || address.is_multicast();
}

}  // namespace pns::wire
