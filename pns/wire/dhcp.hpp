// SPDX-License-Identifier: BSD-3-Clause
//
// DHCPINFORM and the DHCPACK that answers it (RFC 2131 §4.3.5, RFC 2132, RFC 3442), as whole IPv4
// packets. A VPN client has its address from IPCP and asks for the rest: routes, domain, name
// servers. Other DHCP messages are not spoken. Pure functions, any thread, no allocation.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::wire {

inline constexpr std::uint16_t kDhcpServerPort = 67;
inline constexpr std::uint16_t kDhcpClientPort = 68;

// RFC 2132; 121: RFC 3442; 249: the number that Windows used for it before.
enum class DhcpOption : std::uint8_t {
  kDns = 6,
  kDomain = 15,
  kWins = 44,
  kMessageType = 53,
  kServerIdentifier = 54,
  kParameterList = 55,
  kMaximumSize = 57,
  kClientIdentifier = 61,
  kRoutes = 121,
  kMicrosoftRoutes = 249,
};

// A message for a DHCP server: unfragmented UDP to port 67. `packet`: a valid IPv4 packet.
[[nodiscard]] bool is_for_dhcp_server(Bytes packet, const Ipv4Header& header) noexcept;

struct DhcpInform {
  std::uint32_t transaction = 0;
  std::uint16_t seconds = 0;
  std::uint16_t flags = 0;
  std::uint8_t hardware_type = 0;
  std::uint8_t hardware_size = 0;  // octets of hardware_address
  std::array<std::byte, 16> hardware_address{};
  Ipv4Address client;           // ciaddr; the packet's source too
  Bytes client_identifier;      // octets of the packet; empty: none
  std::uint16_t max_size = 0;   // octets of the largest message that the client takes; 0: not told
  std::bitset<256> parameters;  // wanted options; none: whatever there is
  [[nodiscard]] bool wants(DhcpOption option) const noexcept {
    return parameters.none() || parameters.test(static_cast<std::size_t>(option));
  }
};

// Empty: not a valid DHCPINFORM. Checked are the IPv4 header, UDP length and checksum, all fields
// of the message, the bounds of all options, and that ciaddr is the packet's source.
[[nodiscard]] std::optional<DhcpInform> parse_dhcp_inform(Bytes packet) noexcept;

// Octets that a route takes in options 121 and 249.
[[nodiscard]] constexpr std::size_t dhcp_route_size(const Ipv4Prefix& route) noexcept {
  return 1 + (route.length + 7U) / 8 + sizeof(std::uint32_t);
}

struct DhcpAck {
  Ipv4Address server;               // identifier, source of the packet, next hop of the routes
  std::array<Ipv4Address, 2> dns;   // unspecified ones are left out
  std::array<Ipv4Address, 2> wins;  // as dns
  std::string_view domain;          // empty: none
  std::span<const Ipv4Prefix> routes;
  std::size_t mtu = 1'500;  // octets of the longest packet; below 576 options may be left out
};

// Octets that fit into every answer: a client takes at least 576 octets (RFC 2131 §2).
inline constexpr std::size_t kMaxDhcpDomain = 63;
inline constexpr std::size_t kMaxDhcpRoutes = 170;  // sum of dhcp_route_size()

// Room for the longest answer.
inline constexpr std::size_t kLongestDhcpAck = 1'024;

// A whole IPv4 packet to the client. The client gets the options that it asked for. Option 249 and
// an overlong client identifier are left out where they do not fit. Octets written; 0 when `out`
// is too small.
[[nodiscard]] std::size_t write_dhcp_ack(MutableBytes out, const DhcpInform& inform,
                                         const DhcpAck& ack) noexcept;

}  // namespace pns::wire
