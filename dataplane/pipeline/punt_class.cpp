// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/punt_class.hpp"

#include <cstddef>

#include "pns/base/be.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint8_t kIpProtocolOspf = 89;   // RFC 2328 appendix A.1
constexpr std::uint8_t kIpProtocolVrrp = 112;  // RFC 5798 §5.1.1.4
constexpr std::uint16_t kPortBgp = 179;        // RFC 4271 §4
constexpr std::uint16_t kPortPptp = 1723;      // RFC 2637 §3
// BFD: one hop, its echoes, several hops (RFC 5881 §4, RFC 5883 §5).
constexpr std::uint16_t kPortBfd = 3784;
constexpr std::uint16_t kPortBfdEcho = 3785;
constexpr std::uint16_t kPortBfdMultihop = 4784;

constexpr std::size_t kTcpFlagsAt = 13;
constexpr unsigned kTcpSyn = 0x02;
constexpr unsigned kTcpAck = 0x10;

PuntClass class_of_tcp(Bytes segment) noexcept {
  if (segment.size() <= kTcpFlagsAt) return PuntClass::other;
  const auto source = load_be<std::uint16_t>(segment.data());
  const auto destination = load_be<std::uint16_t>(segment.data() + 2);
  if (source == kPortPptp || destination == kPortPptp) {
    const auto flags = std::to_integer<unsigned>(segment[kTcpFlagsAt]);
    return (flags & (kTcpSyn | kTcpAck)) == kTcpSyn ? PuntClass::control_open : PuntClass::control;
  }
  return source == kPortBgp || destination == kPortBgp ? PuntClass::routing : PuntClass::other;
}

PuntClass class_of_udp(Bytes datagram) noexcept {
  if (datagram.size() < 4) return PuntClass::other;
  const auto destination = load_be<std::uint16_t>(datagram.data() + 2);
  const bool bfd =
      destination == kPortBfd || destination == kPortBfdEcho || destination == kPortBfdMultihop;
  return bfd ? PuntClass::routing : PuntClass::other;
}

PuntClass class_of_protocol(std::uint8_t protocol, Bytes payload) noexcept {
  switch (protocol) {
    case wire::kIpProtocolTcp:
      return class_of_tcp(payload);
    case wire::kIpProtocolUdp:
      return class_of_udp(payload);
    case kIpProtocolOspf:
    case kIpProtocolVrrp:
      return PuntClass::routing;
    default:
      return PuntClass::other;
  }
}

PuntClass class_of_ipv4(Bytes packet) noexcept {
  if (packet.size() < wire::kIpv4HeaderSize) return PuntClass::other;
  const wire::Ipv4Header header = wire::read_ipv4(packet);
  if (header.header_length < wire::kIpv4HeaderSize || header.header_length > packet.size() ||
      header.is_fragment())
    return PuntClass::other;
  if (header.protocol == wire::kIpProtocolIcmp) return PuntClass::icmp;
  return class_of_protocol(header.protocol, packet.subspan(header.header_length));
}

PuntClass class_of_ipv6(Bytes packet) noexcept {
  if (packet.size() < wire::kIpv6HeaderSize) return PuntClass::other;
  const wire::Ipv6Header header = wire::read_ipv6(packet);
  const Bytes payload = packet.subspan(wire::kIpv6HeaderSize);
  if (header.next_header != wire::kIpProtocolIcmpv6)
    return class_of_protocol(header.next_header, payload);
  // Neighbor Discovery that came through a router is none (RFC 4861 §6.1, §7.1).
  const bool discovery = header.hop_limit == wire::kDiscoveryHopLimit && !payload.empty() &&
                         std::to_integer<unsigned>(payload[0]) >= wire::kIcmpv6RouterSolicitation &&
                         std::to_integer<unsigned>(payload[0]) <= wire::kIcmpv6Redirect;
  return discovery ? PuntClass::neighbour : PuntClass::icmp;
}

}  // namespace

PuntClass punt_class_of(std::uint16_t ether_type, Bytes packet) noexcept {
  switch (ether_type) {
    case wire::kEtherTypeArp:
      return PuntClass::neighbour;
    case wire::kEtherTypeIpv4:
      return class_of_ipv4(packet);
    case wire::kEtherTypeIpv6:
      return class_of_ipv6(packet);
    default:
      return PuntClass::other;
  }
}

PuntClass punt_class_of(Bytes frame) noexcept {
  const wire::EthernetHeader* const ethernet = wire::view_ethernet(frame);
  if (ethernet == nullptr) return PuntClass::other;
  return punt_class_of(ethernet->type.host(), frame.subspan(wire::kEthernetHeaderSize));
}

}  // namespace pns::dataplane
