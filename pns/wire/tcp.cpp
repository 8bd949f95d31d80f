// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/tcp.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "pns/base/be.hpp"
#include "pns/wire/checksum.hpp"

namespace pns::wire {
namespace {

// RFC 9293 §3.1: data offset in the top half of octet 12, flags in octet 13, checksum at 16.
constexpr std::size_t kTcpHeaderSize = 20;
constexpr std::size_t kTcpDataOffset = 12;
constexpr std::size_t kTcpChecksum = 16;
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionMss = 2;

std::uint8_t octet(MutableBytes data, std::size_t at) noexcept {
  return std::to_integer<std::uint8_t>(data[at]);
}
std::uint16_t word(MutableBytes data, std::size_t at) noexcept {
  return static_cast<std::uint16_t>((octet(data, at) << 8) | octet(data, at + 1));
}
void put_word(MutableBytes data, std::size_t at, std::uint16_t value) noexcept {
  data[at] = static_cast<std::byte>(value >> 8);
  data[at + 1] = static_cast<std::byte>(value);
}

// Where the MSS value stands in the segment, or 0.
std::size_t find_mss(MutableBytes segment, std::size_t end) noexcept {
  std::size_t at = kTcpHeaderSize;
  while (at < end) {
    const std::uint8_t kind = octet(segment, at);
    if (kind == kOptionEnd) return 0;
    if (kind == kOptionNop) {
      ++at;
      continue;
    }
    if (at + 1 >= end) return 0;
    const std::size_t length = octet(segment, at + 1);
    if (length < 2 || at + length > end) return 0;
    if (kind == kOptionMss) return length == 4 ? at + 2 : 0;
    at += length;
  }
  return 0;
}

}  // namespace

bool detail::clamp_syn(MutableBytes segment, std::uint16_t limit) noexcept {
  const std::size_t options_end =
      std::min<std::size_t>((octet(segment, kTcpDataOffset) >> 4) * 4U, segment.size());
  const std::size_t at = find_mss(segment, options_end);
  if (at == 0) return false;
  const std::uint16_t before = word(segment, at);
  if (before <= limit) return false;
  put_word(segment, at, limit);
  // An option at an odd offset straddles two checksum words; a byte swap of both sides of the
  // update is the same sum (RFC 1071 §2 B).
  const auto swap_if_odd = [at](std::uint16_t value) {
    return at % 2 == 0 ? value : static_cast<std::uint16_t>((value << 8) | (value >> 8));
  };
  put_word(segment, kTcpChecksum,
           update_checksum(word(segment, kTcpChecksum), swap_if_odd(before), swap_if_odd(limit)));
  return true;
}

bool clamp_mss(MutableBytes packet, const Ipv6Header& header, std::uint16_t limit) noexcept {
  std::size_t at = kIpv6HeaderSize;
  if (header.next_header != kIpProtocolTcp) {
    // UDP has no options to walk over; it is the other half of all traffic.
    if (header.next_header == kIpProtocolUdp) return false;
    const auto upper = find_upper_layer(packet, header);
    if (!upper || upper->protocol != kIpProtocolTcp || upper->later_fragment) return false;
    at = upper->offset;
  }
  const std::size_t length = std::min<std::size_t>(packet.size(), header.total_length());
  if (at > length) return false;
  const MutableBytes segment = packet.subspan(at, length - at);
  return detail::is_syn(segment) && detail::clamp_syn(segment, limit);
}

}  // namespace pns::wire
