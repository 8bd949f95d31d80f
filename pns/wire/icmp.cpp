// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/icmp.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

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
  const std::size_t quoted =
      std::min({packet.size(), std::size_t{header.total_length}, kMaxIcmpError - kHeaders});
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

bool answer_echo(MutableBytes packet, const Ipv4Header& header) noexcept {
  constexpr std::uint8_t kReplyTimeToLive = 64;
  if (header.protocol != kIpProtocolIcmp || header.is_fragment() ||
      packet.size() < header.header_length + sizeof(IcmpErrorHeader))
    return false;
  IcmpErrorHeader icmp;
  auto* const icmp_at = packet.data() + header.header_length;
  std::memcpy(&icmp, icmp_at, sizeof(icmp));
  if (icmp.type != kIcmpEchoRequest || icmp.code != 0) return false;
  icmp.type = kIcmpEchoReply;
  icmp.checksum = be16::from_host(
      update_checksum(icmp.checksum.host(), kIcmpEchoRequest << 8, kIcmpEchoReply << 8));
  std::memcpy(icmp_at, &icmp, sizeof(icmp));

  Ipv4WireHeader ip;
  std::memcpy(&ip, packet.data(), sizeof(ip));
  std::swap(ip.source, ip.destination);  // a sum does not mind the order
  const auto before = static_cast<std::uint16_t>(ip.time_to_live << 8 | ip.protocol);
  ip.time_to_live = kReplyTimeToLive;
  const auto after = static_cast<std::uint16_t>(ip.time_to_live << 8 | ip.protocol);
  ip.checksum = be16::from_host(update_checksum(ip.checksum.host(), before, after));
  std::memcpy(packet.data(), &ip, sizeof(ip));
  return true;
}

}  // namespace pns::wire
