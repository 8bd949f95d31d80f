// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ipv4.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "pns/wire/checksum.hpp"

namespace pns::wire {

namespace {

Ipv4Header decode(const Ipv4WireHeader& wire) noexcept {
  Ipv4Header header;
  header.header_length = static_cast<std::uint8_t>((wire.version_ihl & 0xfU) * 4);
  header.type_of_service = wire.type_of_service;
  header.total_length = wire.total_length.host();
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

}  // namespace

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
  // Nearly every header has no options: a sum whose length the compiler knows.
  const std::uint16_t sum = header_length == kIpv4HeaderSize
                                ? internet_checksum(std::as_bytes(std::span(&wire, 1)))
                                : internet_checksum(packet.first(header_length));
  if (sum != 0) return std::unexpected(DropReason::ip_checksum);
  return decode(wire);
}

Ipv4Header read_ipv4(Bytes packet) noexcept {
  Ipv4WireHeader wire{};
  std::memcpy(&wire, packet.data(), std::min(packet.size(), sizeof(wire)));
  return decode(wire);
}

std::size_t write_ipv4(MutableBytes out, const Ipv4Header& header) noexcept {
  if (out.size() < kIpv4HeaderSize) return 0;
  const auto flags_offset = static_cast<std::uint16_t>(
      (header.dont_fragment ? kIpv4DontFragment : 0) |
      (header.more_fragments ? kIpv4MoreFragments : 0) | (header.fragment_offset / 8));
  // From the values, not from the octets just stored: the CPU would have to wait for those.
  std::uint32_t sum = (0x4500U | header.type_of_service) + header.total_length +
                      header.identification + flags_offset +
                      static_cast<std::uint32_t>(header.time_to_live << 8 | header.protocol) +
                      (header.source.value >> 16) + (header.source.value & 0xffff) +
                      (header.destination.value >> 16) + (header.destination.value & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto checksum = static_cast<std::uint16_t>(~sum);
  // In words of the widest kind, made in registers: octets put together in memory are waited for.
  const std::array<std::uint64_t, 2> words = {
      __builtin_bswap64(std::uint64_t{0x45} << 56 | std::uint64_t{header.type_of_service} << 48 |
                        std::uint64_t{header.total_length} << 32 |
                        std::uint64_t{header.identification} << 16 | flags_offset),
      __builtin_bswap64(std::uint64_t{header.time_to_live} << 56 |
                        std::uint64_t{header.protocol} << 48 | std::uint64_t{checksum} << 32 |
                        header.source.value)};
  const be32 destination = header.destination.wire();
  std::memcpy(out.data(), words.data(), sizeof(words));
  std::memcpy(out.data() + offsetof(Ipv4WireHeader, destination), &destination,
              sizeof(destination));
  return kIpv4HeaderSize;
}

void decrement_ttl(MutableBytes packet) noexcept {
  if (packet.size() < kIpv4HeaderSize) return;
  std::byte* const ttl = &packet[offsetof(Ipv4WireHeader, time_to_live)];
  std::byte* const at = &packet[offsetof(Ipv4WireHeader, checksum)];
  *ttl = static_cast<std::byte>(std::to_integer<unsigned>(*ttl) - 1);
  be16 checksum;
  std::memcpy(&checksum, at, sizeof(checksum));
  // The word that holds the TTL lost 0x0100, whatever else is in it.
  checksum = be16::from_host(update_checksum(checksum.host(), 0x0100, 0x0000));
  std::memcpy(at, &checksum, sizeof(checksum));
}

}  // namespace pns::wire
