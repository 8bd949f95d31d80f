// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ipv4.hpp"

#include <array>
#include <cstring>

namespace pns::wire {

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

}  // namespace pns::wire
