// SPDX-License-Identifier: BSD-3-Clause
//
// ARP for IPv4 on Ethernet (RFC 826): requests that somebody else answers for an address, and
// announcements (RFC 5227). Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::wire {

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |         Hardware type         |         Protocol type         |
// |  HW length  |  Prot. length   |           Operation           |
// |                    Sender hardware address                    |
// |                               |  Sender protocol address …    |
// |                               |  Target hardware address …    |
// |                                                               |
// |                    Target protocol address                    |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct ArpPacket {
  be16 hardware_type;
  be16 protocol_type;
  std::uint8_t hardware_length;
  std::uint8_t protocol_length;
  be16 operation;
  MacAddress sender_mac;
  be32 sender;
  MacAddress target_mac;
  be32 target;
};
static_assert(sizeof(ArpPacket) == 28 && alignof(ArpPacket) == 1);
static_assert(offsetof(ArpPacket, target) == 24);

inline constexpr std::size_t kArpSize = sizeof(ArpPacket);

struct ArpRequest {
  MacAddress sender_mac{};
  Ipv4Address sender;  // unspecified: a probe (RFC 5227 §2.1.1)
  Ipv4Address target;
};

// A request that wants an answer; nothing for replies, announcements, and what is malformed.
// `packet`: what follows the Ethernet header.
[[nodiscard]] std::optional<ArpRequest> parse_arp_request(Bytes packet) noexcept;

// Writes kArpSize octets: `mac` has the target of the request. 0: they do not fit.
std::size_t write_arp_reply(MutableBytes out, const ArpRequest& request,
                            const MacAddress& mac) noexcept;

// Writes kArpSize octets: `mac` has this address now (RFC 5227 §2.3), to be sent to all. 0: they do
// not fit.
std::size_t write_arp_announcement(MutableBytes out, Ipv4Address address,
                                   const MacAddress& mac) noexcept;

}  // namespace pns::wire
