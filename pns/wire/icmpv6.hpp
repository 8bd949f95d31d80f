// SPDX-License-Identifier: BSD-3-Clause
//
// ICMPv6 as far as a router at the end of PPP links speaks it: errors (RFC 4443 §3), the answer to
// an Echo Request (§4), and of Neighbor Discovery (RFC 4861) the checks of both solicitations and
// the advertisement of our own address. ICMPv6 directly behind the IPv6 header only, but for what
// an error is about. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::wire {

inline constexpr std::uint8_t kIcmpv6DestinationUnreachable = 1;
inline constexpr std::uint8_t kIcmpv6CodeNoRoute = 0;
inline constexpr std::uint8_t kIcmpv6CodeProhibited = 1;  // RFC 4443 §3.1
inline constexpr std::uint8_t kIcmpv6CodeAddressUnreachable = 3;
inline constexpr std::uint8_t kIcmpv6PacketTooBig = 2;
inline constexpr std::uint8_t kIcmpv6TimeExceeded = 3;
inline constexpr std::uint8_t kIcmpv6FirstInformational = 128;  // below: errors
inline constexpr std::uint8_t kIcmpv6EchoRequest = 128;
inline constexpr std::uint8_t kIcmpv6EchoReply = 129;
inline constexpr std::uint8_t kIcmpv6RouterSolicitation = 133;
inline constexpr std::uint8_t kIcmpv6RouterAdvertisement = 134;
inline constexpr std::uint8_t kIcmpv6NeighborSolicitation = 135;
inline constexpr std::uint8_t kIcmpv6NeighborAdvertisement = 136;
inline constexpr std::uint8_t kIcmpv6Redirect = 137;

//  0                   1                   2                   3
//  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |     Type      |     Code      |          Checksum             |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
// |             MTU, flags, identifier or unused                  |
// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
struct Icmpv6Header {
  std::uint8_t type;
  std::uint8_t code;
  be16 checksum;
  be32 rest;
};
static_assert(sizeof(Icmpv6Header) == 8 && alignof(Icmpv6Header) == 1);
static_assert(offsetof(Icmpv6Header, rest) == 4);

// The longest error, IPv6 header included (RFC 4443 §2.4 c).
inline constexpr std::size_t kMaxIcmpv6Error = kIpv6MinimumMtu;
// A Neighbor Advertisement without options, IPv6 header included.
inline constexpr std::size_t kNeighborAdvertisementSize = kIpv6HeaderSize + 24;

// The hop limit of every Neighbor Discovery packet: proof that no router was between (RFC 4861
// §3.1).
inline constexpr std::uint8_t kDiscoveryHopLimit = 255;

struct Icmpv6Error {
  std::uint8_t type = kIcmpv6DestinationUnreachable;
  std::uint8_t code = 0;
  std::uint32_t mtu = 0;  // octets, of kIcmpv6PacketTooBig
};

// The checksum field of an upper-layer message that starts at `at` and goes to the end of `packet`,
// over the pseudo-header too (RFC 8200 §8.1), its own field being zero. With the field filled in: 0
// when right.
[[nodiscard]] std::uint16_t upper_layer_checksum(Bytes packet, std::size_t at,
                                                 std::uint8_t protocol) noexcept;

// Fills the checksum field, which must be zero, of a whole IPv6 packet with ICMPv6 directly behind
// its header.
void put_icmpv6_checksum(MutableBytes packet) noexcept;

// False for what must not cause an error: ICMPv6 errors and redirects, sources that are not one
// host, multicast (RFC 4443 §2.4 e), and what cannot be looked into. `packet` starts at a parsed
// header.
[[nodiscard]] bool may_cause_icmp_error(const Ipv6Header& header, Bytes packet) noexcept;

// Writes the whole error from `source` to the sender of `packet` (a parsed IPv6 packet), quoting as
// much of it as 1,280 octets take. Returns its length; 0 when `out` is too short.
std::size_t write_icmp_error(MutableBytes out, const Icmpv6Error& error, const Ipv6Address& source,
                             const Ipv6Header& header, Bytes packet) noexcept;

// Turns a whole Echo Request, `header` parsed from `packet`, into its reply, in place: addresses
// swapped, hop limit 64, checksum mended. False, and nothing changed, for anything else.
bool answer_echo(MutableBytes packet, const Ipv6Header& header) noexcept;

// ICMPv6 type of a parsed packet whose next header it is; empty for others and truncated ones.
[[nodiscard]] std::optional<std::uint8_t> icmpv6_type(Bytes packet,
                                                      const Ipv6Header& header) noexcept;

// Whether a Router Solicitation passes RFC 4861 §6.1.1: hop limit, checksum, code, length, options.
[[nodiscard]] bool is_valid_router_solicitation(Bytes packet, const Ipv6Header& header) noexcept;

// The target of a Neighbor Solicitation that passes RFC 4861 §7.1.1; empty when it does not.
[[nodiscard]] std::optional<Ipv6Address> neighbor_solicitation_target(
    Bytes packet, const Ipv6Header& header) noexcept;

// Writes the answer of a router to a solicitation for its address `target` on a link without link
// addresses: solicited, no options, no override (RFC 4861 §7.2.4). kNeighborAdvertisementSize
// octets; 0 when they do not fit.
std::size_t write_neighbor_advertisement(MutableBytes out, const Ipv6Address& target,
                                         const Ipv6Address& destination) noexcept;

// The same for an address of somebody else's on a link with link addresses, who has it behind `mac`
// (RFC 4861 §7.2.8): no router, no override, target link-layer address; solicited unless
// `destination` is a group. kProxyAdvertisementSize octets; 0 when they do not fit.
inline constexpr std::size_t kProxyAdvertisementSize = kNeighborAdvertisementSize + 8;
std::size_t write_proxy_advertisement(MutableBytes out, const Ipv6Address& target,
                                      const Ipv6Address& destination,
                                      const MacAddress& mac) noexcept;

// The MAC address of a group (RFC 2464 §7).
[[nodiscard]] MacAddress group_mac(const Ipv6Address& group) noexcept;

}  // namespace pns::wire
