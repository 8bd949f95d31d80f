// SPDX-License-Identifier: BSD-3-Clause
//
// The one thing a tunnel does to TCP: lower the MSS option of a SYN to what fits (RFC 4459 §3.2).
// Pure functions, any thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "pns/base/bytes.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::wire {

namespace detail {
// `segment`: TCP header and what follows, of a SYN.
bool clamp_syn(MutableBytes segment, std::uint16_t limit) noexcept;

// RFC 9293 §3.1. Nearly every segment is no SYN.
[[nodiscard]] inline bool is_syn(Bytes segment) noexcept {
  constexpr std::size_t kHeaderSize = 20;
  constexpr std::size_t kFlags = 13;
  constexpr std::byte kSyn{0x02};
  return segment.size() >= kHeaderSize && (segment[kFlags] & kSyn) != std::byte{0};
}
}  // namespace detail

// When the parsed IPv4 packet is an unfragmented TCP SYN (or SYN-ACK) whose MSS option exceeds
// `limit` octets, writes `limit` there and mends the TCP checksum. True when it changed the packet.
// Malformed options end the search; the walk moves at least one octet a step.
inline bool clamp_mss(MutableBytes packet, const Ipv4Header& header, std::uint16_t limit) noexcept {
  if (header.protocol != kIpProtocolTcp || header.fragment_offset != 0) return false;
  const std::size_t length = std::min<std::size_t>(packet.size(), header.total_length);
  if (length < header.header_length) return false;
  const MutableBytes segment = packet.subspan(header.header_length, length - header.header_length);
  return detail::is_syn(segment) && detail::clamp_syn(segment, limit);
}
// The same of a parsed IPv6 packet, also behind extension headers.
bool clamp_mss(MutableBytes packet, const Ipv6Header& header, std::uint16_t limit) noexcept;

}  // namespace pns::wire
