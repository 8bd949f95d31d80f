// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/icmpv6.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "pns/wire/checksum.hpp"

namespace pns::wire {
namespace {

constexpr std::uint8_t kHopLimit = 64;
constexpr std::size_t kAddresses = offsetof(Ipv6WireHeader, source);
constexpr std::uint8_t kSourceLinkAddress = 1;  // RFC 4861 §4.6.1
constexpr std::size_t kSolicitationTarget = kIpv6HeaderSize + sizeof(Icmpv6Header);

// The message alone: what padding may follow the packet is not looked at.
Bytes whole(Bytes packet, const Ipv6Header& header) noexcept {
  return packet.first(std::min<std::size_t>(packet.size(), header.total_length()));
}

// The conditions for both solicitations; `options_at` counts from the front of the packet.
bool is_valid_discovery(Bytes packet, const Ipv6Header& header, std::size_t options_at) noexcept {
  if (header.next_header != kIpProtocolIcmpv6 || header.hop_limit != kDiscoveryHopLimit ||
      packet.size() < options_at || packet[kIpv6HeaderSize + 1] != std::byte{0} ||
      upper_layer_checksum(packet, kIpv6HeaderSize, kIpProtocolIcmpv6) != 0)
    return false;
  std::size_t at = options_at;
  while (at < packet.size()) {
    if (at + 2 > packet.size()) return false;
    const std::size_t size = std::to_integer<std::size_t>(packet[at + 1]) * 8;
    if (size == 0 || at + size > packet.size()) return false;
    if (packet[at] == std::byte{kSourceLinkAddress} && header.source.is_unspecified()) return false;
    at += size;
  }
  return true;
}

Ipv6Address address_at(Bytes packet, std::size_t at) noexcept {
  std::array<BigEndian<std::uint64_t>, 2> wire;
  std::memcpy(wire.data(), packet.data() + at, sizeof(wire));
  return {wire[0].host(), wire[1].host()};
}

}  // namespace

std::uint16_t upper_layer_checksum(Bytes packet, std::size_t at, std::uint8_t protocol) noexcept {
  const std::size_t length = packet.size() - at;
  const std::array<be16, 2> pseudo = {be16::from_host(static_cast<std::uint16_t>(length)),
                                      be16::from_host(protocol)};
  std::uint64_t sum = raw_sum(packet.subspan(kAddresses, 32));
  sum = raw_sum(std::as_bytes(std::span(pseudo)), sum);
  return finish_sum(raw_sum(packet.subspan(at), sum));
}

void put_icmpv6_checksum(MutableBytes packet) noexcept {
  const be16 sum =
      be16::from_host(upper_layer_checksum(packet, kIpv6HeaderSize, kIpProtocolIcmpv6));
  std::memcpy(packet.data() + kIpv6HeaderSize + offsetof(Icmpv6Header, checksum), &sum,
              sizeof(sum));
}

bool may_cause_icmp_error(const Ipv6Header& header, Bytes packet) noexcept {
  if (header.source.is_unspecified() || header.source.is_multicast() ||
      header.source.is_loopback() || header.destination.is_multicast())
    return false;
  const auto upper = find_upper_layer(packet, header);
  if (!upper) return false;
  if (upper->protocol != kIpProtocolIcmpv6) return true;
  if (upper->later_fragment || upper->offset >= packet.size()) return false;
  const auto type = std::to_integer<std::uint8_t>(packet[upper->offset]);
  return type >= kIcmpv6FirstInformational && type != kIcmpv6Redirect;
}

std::size_t write_icmp_error(MutableBytes out, const Icmpv6Error& error, const Ipv6Address& source,
                             const Ipv6Header& header, Bytes packet) noexcept {
  constexpr std::size_t kHeaders = kIpv6HeaderSize + sizeof(Icmpv6Header);
  const Bytes quoted = packet.first(
      std::min<std::size_t>({packet.size(), header.total_length(), kMaxIcmpv6Error - kHeaders}));
  const std::size_t length = kHeaders + quoted.size();
  if (out.size() < length) return 0;
  Ipv6Header outer;
  outer.payload_length = static_cast<std::uint16_t>(length - kIpv6HeaderSize);
  outer.next_header = kIpProtocolIcmpv6;
  outer.hop_limit = kHopLimit;
  outer.source = source;
  outer.destination = header.source;
  write_ipv6(out, outer);
  const Icmpv6Header icmp{error.type, error.code, {}, be32::from_host(error.mtu)};
  std::memcpy(out.data() + kIpv6HeaderSize, &icmp, sizeof(icmp));
  std::memcpy(out.data() + kHeaders, quoted.data(), quoted.size());
  put_icmpv6_checksum(out.first(length));
  return length;
}

bool answer_echo(MutableBytes packet, const Ipv6Header& header) noexcept {
  if (header.next_header != kIpProtocolIcmpv6 ||
      packet.size() < kIpv6HeaderSize + sizeof(Icmpv6Header))
    return false;
  Icmpv6Header icmp;
  std::memcpy(&icmp, packet.data() + kIpv6HeaderSize, sizeof(icmp));
  if (icmp.type != kIcmpv6EchoRequest || icmp.code != 0) return false;
  icmp.type = kIcmpv6EchoReply;
  icmp.checksum = be16::from_host(
      update_checksum(icmp.checksum.host(), kIcmpv6EchoRequest << 8, kIcmpv6EchoReply << 8));
  std::memcpy(packet.data() + kIpv6HeaderSize, &icmp, sizeof(icmp));
  Ipv6WireHeader ip;
  std::memcpy(&ip, packet.data(), sizeof(ip));
  std::swap(ip.source, ip.destination);  // a sum does not mind the order
  ip.hop_limit = kHopLimit;
  std::memcpy(packet.data(), &ip, sizeof(ip));
  return true;
}

std::optional<std::uint8_t> icmpv6_type(Bytes packet, const Ipv6Header& header) noexcept {
  if (header.next_header != kIpProtocolIcmpv6 || header.payload_length == 0 ||
      packet.size() <= kIpv6HeaderSize)
    return std::nullopt;
  return std::to_integer<std::uint8_t>(packet[kIpv6HeaderSize]);
}

bool is_valid_router_solicitation(Bytes packet, const Ipv6Header& header) noexcept {
  return is_valid_discovery(whole(packet, header), header, kIpv6HeaderSize + sizeof(Icmpv6Header));
}

std::optional<Ipv6Address> neighbor_solicitation_target(Bytes packet,
                                                        const Ipv6Header& header) noexcept {
  const Bytes message = whole(packet, header);
  if (!is_valid_discovery(message, header, kNeighborAdvertisementSize)) return std::nullopt;
  const Ipv6Address target = address_at(message, kSolicitationTarget);
  // From the unspecified address only to a solicited-node group: ff02::1:ff00:0/104.
  const bool to_group =
      header.destination.high == 0xff02'0000'0000'0000 && (header.destination.low >> 24) == 0x1ff;
  if (target.is_multicast() || (header.source.is_unspecified() && !to_group)) return std::nullopt;
  return target;
}

namespace {

constexpr std::uint32_t kRouter = 0x80000000;
constexpr std::uint32_t kSolicited = 0x40000000;
constexpr std::uint8_t kTargetLinkAddress = 2;  // RFC 4861 §4.6.1; of 8 octets

// Without checksum. `size`: in all, with options that the caller has written.
void write_advertisement(MutableBytes out, std::size_t size, std::uint32_t flags,
                         const Ipv6Address& target, const Ipv6Address& destination) noexcept {
  Ipv6Header ip;
  ip.payload_length = static_cast<std::uint16_t>(size - kIpv6HeaderSize);
  ip.next_header = kIpProtocolIcmpv6;
  ip.hop_limit = kDiscoveryHopLimit;
  ip.source = target;
  ip.destination = destination;
  write_ipv6(out, ip);
  const Icmpv6Header icmp{kIcmpv6NeighborAdvertisement, 0, {}, be32::from_host(flags)};
  std::memcpy(out.data() + kIpv6HeaderSize, &icmp, sizeof(icmp));
  const auto octets = target.wire();
  std::memcpy(out.data() + kSolicitationTarget, octets.data(), octets.size());
  put_icmpv6_checksum(out.first(size));
}

}  // namespace

std::size_t write_neighbor_advertisement(MutableBytes out, const Ipv6Address& target,
                                         const Ipv6Address& destination) noexcept {
  if (out.size() < kNeighborAdvertisementSize) return 0;
  write_advertisement(out, kNeighborAdvertisementSize, kRouter | kSolicited, target, destination);
  return kNeighborAdvertisementSize;
}

std::size_t write_proxy_advertisement(MutableBytes out, const Ipv6Address& target,
                                      const Ipv6Address& destination,
                                      const MacAddress& mac) noexcept {
  if (out.size() < kProxyAdvertisementSize) return 0;
  std::byte* const option = out.data() + kNeighborAdvertisementSize;
  option[0] = std::byte{kTargetLinkAddress};
  option[1] = std::byte{1};
  std::memcpy(option + 2, mac.data(), mac.size());
  write_advertisement(out, kProxyAdvertisementSize, destination.is_multicast() ? 0 : kSolicited,
                      target, destination);
  return kProxyAdvertisementSize;
}

MacAddress group_mac(const Ipv6Address& group) noexcept {
  const auto octets = group.wire();
  return {0x33, 0x33, octets[12], octets[13], octets[14], octets[15]};
}

}  // namespace pns::wire
