// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ipv4.hpp"

#include <cstring>

#include "pns/wire/checksum.hpp"

namespace pns::wire {

std::expected<Ipv4Header, DropReason> parse_ipv4(Bytes packet) noexcept {
  if (packet.size() < kIpv4HeaderSize) return std::unexpected(DropReason::frame_truncated);
  Ipv4WireHeader wire;
  std::memcpy(&wire, packet.data(), sizeof(wire));
  if ((wire.version_ihl >> 4) != 4) return std::unexpected(DropReason::ip_version);
  const std::size_t header_length = (wire.version_ihl & 0xfU) * 4;
  if (header_length < kIpv4HeaderSize || header_length > packet.size())
    return std::unexpected(DropReason::ip_header_length);
  const std::uint16_t total_length = wire.total_length.host();
  if (total_length < header_length || total_length > packet.size())
    return std::unexpected(DropReason::ip_total_length);
  if (internet_checksum(packet.first(header_length)) != 0)
    return std::unexpected(DropReason::ip_checksum);

  Ipv4Header header;
  header.header_length = static_cast<std::uint8_t>(header_length);
  header.type_of_service = wire.type_of_service;
  header.total_length = total_length;
  header.identification = wire.identification.host();
  const std::uint16_t flags_offset = wire.flags_offset.host();
  header.dont_fragment = (flags_offset & kIpv4DontFragment) != 0;
  header.more_fragments = (flags_offset & kIpv4MoreFragments) != 0;
  header.fragment_offset = static_cast<std::uint16_t>((flags_offset & kIpv4OffsetMask) * 8);
  header.time_to_live = wire.time_to_live;
  header.protocol = wire.protocol;
  header.source = Ipv4Address(wire.source);
  header.destination = Ipv4Address(wire.destination);
  return header;
}

std::size_t write_ipv4(MutableBytes out, const Ipv4Header& header) noexcept {
  if (out.size() < kIpv4HeaderSize) return 0;
  Ipv4WireHeader wire{};
  wire.version_ihl = 0x45;
  wire.type_of_service = header.type_of_service;
  wire.total_length = be16::from_host(header.total_length);
  wire.identification = be16::from_host(header.identification);
  wire.flags_offset = be16::from_host(static_cast<std::uint16_t>(
      (header.dont_fragment ? kIpv4DontFragment : 0) |
      (header.more_fragments ? kIpv4MoreFragments : 0) | (header.fragment_offset / 8)));
  wire.time_to_live = header.time_to_live;
  wire.protocol = header.protocol;
  wire.source = header.source.wire();
  wire.destination = header.destination.wire();
  wire.checksum = be16::from_host(internet_checksum(std::as_bytes(std::span(&wire, 1))));
  std::memcpy(out.data(), &wire, sizeof(wire));
  return kIpv4HeaderSize;
}

void decrement_ttl(MutableBytes packet) noexcept {
  if (packet.size() < kIpv4HeaderSize) return;
  Ipv4WireHeader wire;
  std::memcpy(&wire, packet.data(), sizeof(wire));
  const auto before = static_cast<std::uint16_t>((wire.time_to_live << 8) | wire.protocol);
  const auto after = static_cast<std::uint16_t>(before - 0x0100);
  wire.time_to_live = static_cast<std::uint8_t>(wire.time_to_live - 1);
  wire.checksum = be16::from_host(update_checksum(wire.checksum.host(), before, after));
  std::memcpy(packet.data(), &wire, sizeof(wire));
}

}  // namespace pns::wire
