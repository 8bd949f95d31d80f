// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/router_advertisement.hpp"

#include <algorithm>

#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::wire {
namespace {

constexpr std::uint8_t kOptionPrefix = 3;
constexpr std::uint8_t kOptionMtu = 5;
constexpr std::uint8_t kOptionRdnss = 25;
constexpr std::uint8_t kAutonomous = 0x40;
constexpr std::uint8_t kManaged = 0x80;
constexpr std::uint8_t kOther = 0x40;

Bytes octets(const Ipv6Address::Octets& address) noexcept {
  return std::as_bytes(std::span(address));
}

}  // namespace

std::size_t write_router_advertisement(MutableBytes out, const RouterAdvertisement& ra) noexcept {
  Writer writer(out);
  writer.write_zeros(kIpv6HeaderSize);  // written when its length is known

  writer.write_u8(kIcmpv6RouterAdvertisement);
  writer.write_u8(0);
  writer.write_u16(0);  // checksum
  writer.write_u8(ra.hop_limit);
  writer.write_u8(static_cast<std::uint8_t>((ra.managed ? kManaged : 0) | (ra.other ? kOther : 0)));
  writer.write_u16(ra.router_lifetime);
  writer.write_u32(0);  // reachable time
  writer.write_u32(0);  // retransmission timer

  writer.write_u8(kOptionPrefix);
  writer.write_u8(4);
  writer.write_u8(ra.prefix.length);
  writer.write_u8(kAutonomous);
  writer.write_u32(ra.valid_lifetime);
  writer.write_u32(ra.preferred_lifetime);
  writer.write_u32(0);
  writer.write_bytes(octets(ra.prefix.network().wire()));

  writer.write_u8(kOptionMtu);
  writer.write_u8(1);
  writer.write_u16(0);
  writer.write_u32(ra.mtu);

  const auto servers = std::count_if(ra.dns.begin(), ra.dns.end(),
                                     [](const auto& dns) { return !dns.is_unspecified(); });
  if (servers != 0) {
    writer.write_u8(kOptionRdnss);
    writer.write_u8(static_cast<std::uint8_t>(1 + 2 * servers));
    writer.write_u16(0);
    writer.write_u32(ra.dns_lifetime);
    for (const Ipv6Address& dns : ra.dns)
      if (!dns.is_unspecified()) writer.write_bytes(octets(dns.wire()));
  }
  if (!writer.ok()) return 0;
  Ipv6Header header;
  header.payload_length = static_cast<std::uint16_t>(writer.size() - kIpv6HeaderSize);
  header.next_header = kIpProtocolIcmpv6;
  header.hop_limit = kDiscoveryHopLimit;
  header.source = ra.source;
  header.destination = ra.destination;
  write_ipv6(writer.written(), header);
  put_icmpv6_checksum(writer.written());
  return writer.size();
}

std::optional<Ipv6Address> parse_router_solicitation(Bytes packet) noexcept {
  const auto header = parse_ipv6(packet);
  if (!header || icmpv6_type(packet, *header) != kIcmpv6RouterSolicitation ||
      !is_valid_router_solicitation(packet, *header))
    return std::nullopt;
  return header->source;
}

}  // namespace pns::wire
