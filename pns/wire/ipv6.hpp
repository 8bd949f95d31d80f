// SPDX-License-Identifier: BSD-3-Clause
//
// IPv6 header (RFC 8200 §3), as far as this server looks into it: to tell a plausible packet from
// noise. IPv6 is not forwarded. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"

namespace pns::wire {

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
  std::array<std::uint8_t, 16> source;
  std::array<std::uint8_t, 16> destination;
};
static_assert(sizeof(Ipv6WireHeader) == 40 && alignof(Ipv6WireHeader) == 1);
static_assert(offsetof(Ipv6WireHeader, destination) == 24);

inline constexpr std::size_t kIpv6HeaderSize = sizeof(Ipv6WireHeader);

struct Ipv6Header {
  std::uint16_t payload_length = 0;  // octets after the 40 of the header
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 0;
};

// frame_truncated · ip_version · ip_total_length.
[[nodiscard]] inline std::expected<Ipv6Header, DropReason> parse_ipv6(Bytes packet) noexcept {
  if (packet.size() < kIpv6HeaderSize) return std::unexpected(DropReason::frame_truncated);
  Ipv6WireHeader wire;
  std::memcpy(&wire, packet.data(), sizeof(wire));
  if ((wire.version_class_label.host() >> 28) != 6) return std::unexpected(DropReason::ip_version);
  const std::uint16_t payload_length = wire.payload_length.host();
  if (payload_length > packet.size() - kIpv6HeaderSize)
    return std::unexpected(DropReason::ip_total_length);
  return Ipv6Header{payload_length, wire.next_header, wire.hop_limit};
}

}  // namespace pns::wire
