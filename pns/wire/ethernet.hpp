// SPDX-License-Identifier: BSD-3-Clause
//
// Ethernet II framing as the dataplane needs it: no VLAN tags, no LLC. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::wire {

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeArp = 0x0806;
inline constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |                    Destination address                        |
// |                               |        Source address         |
// |                                                               |
// |             Type              |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct EthernetHeader {
  MacAddress destination;
  MacAddress source;
  be16 type;
};
static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);
static_assert(offsetof(EthernetHeader, type) == 12);

inline constexpr std::size_t kEthernetHeaderSize = sizeof(EthernetHeader);

// The header of a frame. frame_truncated: fewer than 14 octets.
[[nodiscard]] inline std::expected<EthernetHeader, DropReason> parse_ethernet(
    Bytes frame) noexcept {
  if (frame.size() < kEthernetHeaderSize) return std::unexpected(DropReason::frame_truncated);
  EthernetHeader header;
  std::memcpy(&header, frame.data(), sizeof(header));
  return header;
}

// The header where it lies, for those who look at it for every packet: a copy of 14 octets goes
// through memory in pieces that the CPU waits for. Null: fewer than 14 octets.
[[nodiscard]] inline const EthernetHeader* view_ethernet(Bytes frame) noexcept {
  if (frame.size() < kEthernetHeaderSize) return nullptr;
  return reinterpret_cast<const EthernetHeader*>(frame.data());
}

// Writes 14 octets; 0 when they do not fit.
inline std::size_t write_ethernet(MutableBytes out, const EthernetHeader& header) noexcept {
  if (out.size() < kEthernetHeaderSize) return 0;
  // Field by field: likewise.
  std::memcpy(out.data(), &header.destination, sizeof(header.destination));
  std::memcpy(out.data() + offsetof(EthernetHeader, source), &header.source, sizeof(header.source));
  std::memcpy(out.data() + offsetof(EthernetHeader, type), &header.type, sizeof(header.type));
  return kEthernetHeaderSize;
}

// Broadcast is a multicast address too.
[[nodiscard]] constexpr bool is_multicast(const MacAddress& mac) noexcept {
  return (mac[0] & 1) != 0;
}

}  // namespace pns::wire
