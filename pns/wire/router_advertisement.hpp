// SPDX-License-Identifier: BSD-3-Clause
//
// Router Solicitation and Router Advertisement (RFC 4861 §4.1, §4.2) with Prefix Information
// (§4.6.2), MTU (§4.6.4) and Recursive DNS Server (RFC 8106 §5.1), as whole IPv6 packets for a
// point-to-point link. Pure functions, any thread, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::wire {

inline constexpr Ipv6Address kAllNodes{0xff02000000000000, 1};

struct RouterAdvertisement {
  Ipv6Address source;                 // our link-local address
  Ipv6Address destination;            // the solicitor's, or kAllNodes
  std::uint8_t hop_limit = 64;        // for the host's packets
  bool managed = false;               // M: addresses by DHCPv6
  bool other = false;                 // O: other configuration by DHCPv6
  std::uint16_t router_lifetime = 0;  // seconds; 0: not a default router
  Ipv6Prefix prefix;                  // autonomous, not on-link: all goes to the router
  std::uint32_t valid_lifetime = 0;   // seconds
  std::uint32_t preferred_lifetime = 0;
  std::uint32_t mtu = 0;             // octets
  std::array<Ipv6Address, 3> dns{};  // unspecified ones are left out
  std::uint32_t dns_lifetime = 0;    // seconds
};

// Room for the longest one.
inline constexpr std::size_t kLongestRouterAdvertisement = 40 + 16 + 32 + 8 + 8 + 3 * 16;

// A whole IPv6 packet. Octets written; 0 when `out` is too small.
[[nodiscard]] std::size_t write_router_advertisement(MutableBytes out,
                                                     const RouterAdvertisement& ra) noexcept;

// The source of a valid Router Solicitation (RFC 4861 §6.1.1: hop limit, length, checksum, code,
// options); empty when `packet` is anything else.
[[nodiscard]] std::optional<Ipv6Address> parse_router_solicitation(Bytes packet) noexcept;

}  // namespace pns::wire
