// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/icmp.hpp"

#include <algorithm>
#include <cstring>

#include "pns/wire/checksum.hpp"

namespace pns::wire {

bool may_cause_icmp_error(const Ipv4Header& header, Bytes packet) noexcept {
  if (header.fragment_offset != 0) return false;
  if (is_unforwardable(header.source) || is_unforwardable(header.destination)) return false;
  if (header.protocol != kIpProtocolIcmp) return true;
  if (packet.size() <= header.header_length) return false;
  switch (std::to_integer<std::uint8_t>(packet[header.header_length])) {
    case kIcmpDestinationUnreachable:
    case kIcmpSourceQuench:
    case kIcmpRedirect:
    case kIcmpTimeExceeded:
    case kIcmpParameterProblem:
      return false;
    default:
      return true;
  }
}

std::size_t write_icmp_error(MutableBytes out, const IcmpError& error, Ipv4Address source,
                             const Ipv4Header& header, Bytes packet) noexcept {
  constexpr std::size_t kHeaders = kIpv4HeaderSize + sizeof(IcmpErrorHeader);
  const std::size_t quoted = std::min({packet.size(), std::size_t{header.total_length},
                                       kMaxIcmpError - kHeaders});
  const std::size_t length = kHeaders + quoted;
  if (out.size() < length) return 0;

  Ipv4Header outer;
  outer.type_of_service = 0xc0;  // internetwork control, RFC 1812 §4.3.2.5
  outer.total_length = static_cast<std::uint16_t>(length);
  outer.time_to_live = 64;
  outer.protocol = kIpProtocolIcmp;
  outer.source = source;
  outer.destination = header.source;
  write_ipv4(out, outer);

  IcmpErrorHeader icmp{};
  icmp.type = error.type;
  icmp.code = error.code;
  icmp.next_hop_mtu = be16::from_host(error.next_hop_mtu);
  std::memcpy(out.data() + kIpv4HeaderSize, &icmp, sizeof(icmp));
  std::memcpy(out.data() + kHeaders, packet.data(), quoted);
  icmp.checksum =
      be16::from_host(internet_checksum(out.subspan(kIpv4HeaderSize, sizeof(icmp) + quoted)));
  std::memcpy(out.data() + kIpv4HeaderSize, &icmp, sizeof(icmp));
  return length;
}

}  // namespace pns::wire
