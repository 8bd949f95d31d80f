// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ipv6.hpp"

#include <algorithm>

namespace pns::wire {

std::size_t write_ipv6(MutableBytes out, const Ipv6Header& header) noexcept {
  if (out.size() < kIpv6HeaderSize) return 0;
  using be64 = BigEndian<std::uint64_t>;
  const auto octets = [](const Ipv6Address& address) {
    return std::array{be64::from_host(address.high), be64::from_host(address.low)};
  };
  const Ipv6WireHeader wire{
      be32::from_host(6U << 28 | static_cast<std::uint32_t>(header.traffic_class) << 20 |
                      (header.flow_label & 0xfffff)),
      be16::from_host(header.payload_length),
      header.next_header,
      header.hop_limit,
      octets(header.source),
      octets(header.destination)};
  std::memcpy(out.data(), &wire, sizeof(wire));
  return kIpv6HeaderSize;
}

std::optional<UpperLayer> find_upper_layer(Bytes packet, const Ipv6Header& header) noexcept {
  constexpr unsigned kMaxExtensionHeaders = 8;
  constexpr std::size_t kSmallest = 8;
  const std::size_t end = std::min<std::size_t>(packet.size(), header.total_length());
  const auto octet = [&](std::size_t at) { return std::to_integer<unsigned>(packet[at]); };
  std::uint8_t next = header.next_header;
  std::size_t at = kIpv6HeaderSize;
  for (unsigned step = 0; step <= kMaxExtensionHeaders; ++step) {
    const bool fragment = next == kIpv6Fragment;
    const bool authentication = next == kIpv6Authentication;
    if (!fragment && !authentication && next != kIpv6HopByHop && next != kIpv6Routing &&
        next != kIpv6DestinationOptions)
      return UpperLayer{next, static_cast<std::uint16_t>(at), false};
    if (at + kSmallest > end) return std::nullopt;
    next = static_cast<std::uint8_t>(octet(at));
    if (fragment && ((octet(at + 2) << 8 | octet(at + 3)) & 0xfff8) != 0)
      return UpperLayer{next, static_cast<std::uint16_t>(at + kSmallest), true};
    // Authentication counts in words of 4 octets, less 2 (RFC 4302 §2.2), fragments are all 8 long,
    // the others count in words of 8, less 1.
    const std::size_t size = fragment         ? kSmallest
                             : authentication ? std::max(kSmallest, (octet(at + 1) + 2) * 4UL)
                                              : (octet(at + 1) + 1) * 8UL;
    if (at + size > end) return std::nullopt;
    at += size;
  }
  return std::nullopt;
}

}  // namespace pns::wire
