// SPDX-License-Identifier: BSD-3-Clause
//
// UDP (RFC 768) as the dataplane needs it: the header of a datagram that is whole, and another
// destination for it. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/checksum.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::wire {

//  0      7 8     15 16    23 24    31
// +--------+--------+--------+--------+
// |   Source Port   |Destination Port |
// +--------+--------+--------+--------+
// |     Length      |    Checksum     |
// +--------+--------+--------+--------+
struct UdpWireHeader {
  be16 source_port;
  be16 destination_port;
  be16 length;
  be16 checksum;
};
static_assert(sizeof(UdpWireHeader) == 8 && alignof(UdpWireHeader) == 1);

inline constexpr std::size_t kUdpHeaderSize = sizeof(UdpWireHeader);

struct UdpHeader {
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  friend bool operator==(const UdpHeader&, const UdpHeader&) noexcept = default;
};

// The header of the datagram in `packet`, a valid IPv4 packet whose header is `ip`. Empty: another
// protocol, a fragment, or a length that does not fit the packet. The checksum is not checked.
[[nodiscard]] inline std::optional<UdpHeader> parse_udp(Bytes packet,
                                                        const Ipv4Header& ip) noexcept {
  if (ip.protocol != kIpProtocolUdp || ip.is_fragment() || ip.total_length > packet.size() ||
      ip.total_length < ip.header_length + kUdpHeaderSize)
    return std::nullopt;
  const std::byte* const at = packet.data() + ip.header_length;
  const auto length = load_be<std::uint16_t>(at + offsetof(UdpWireHeader, length));
  if (length < kUdpHeaderSize || length > ip.total_length - ip.header_length) return std::nullopt;
  return UdpHeader{
      load_be<std::uint16_t>(at),
      load_be<std::uint16_t>(at + offsetof(UdpWireHeader, destination_port)),
  };
}

// Gives a packet that parse_udp() has accepted another destination address, and mends the checksums
// of both headers (RFC 1624). A datagram without a checksum stays one.
inline void redirect_udp(MutableBytes packet, const Ipv4Header& ip, Ipv4Address to) noexcept {
  const auto mend = [&](std::byte* at) {
    auto sum = load_be<std::uint16_t>(at);
    sum = update_checksum(sum, static_cast<std::uint16_t>(ip.destination.value >> 16),
                          static_cast<std::uint16_t>(to.value >> 16));
    sum = update_checksum(sum, static_cast<std::uint16_t>(ip.destination.value),
                          static_cast<std::uint16_t>(to.value));
    store_be(at, sum);
    return sum;
  };
  (void)mend(packet.data() + offsetof(Ipv4WireHeader, checksum));
  std::byte* const datagram_sum =
      packet.data() + ip.header_length + offsetof(UdpWireHeader, checksum);
  // 0 says that there is none; a sum of 0 is sent as its complement.
  if (load_be<std::uint16_t>(datagram_sum) != 0 && mend(datagram_sum) == 0)
    store_be<std::uint16_t>(datagram_sum, 0xffff);
  store_be(packet.data() + offsetof(Ipv4WireHeader, destination), to.value);
}

}  // namespace pns::wire
