// SPDX-License-Identifier: BSD-3-Clause
//
// The texts of Framed-Route (RFC 2865 §5.22) and Framed-IPv6-Route (RFC 3162 §2.5). Not here:
// whether such a network may be behind a subscriber (pns/base/networks.hpp). Pure functions, any
// thread, no allocation, no throw.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pns/base/ip_address.hpp"

namespace pns::radius {

// "destination[/length] [gateway [metric …]]".
struct FramedRoute {
  Ipv4Prefix destination;              // without host bits
  Ipv4Address gateway;                 // unspecified: the subscriber
  std::optional<std::int32_t> metric;  // the first one
  friend bool operator==(const FramedRoute&, const FramedRoute&) noexcept = default;

  // A destination without a length has that of its class: 8, 16 or 24 bits. Empty when the text is
  // anything else, or the destination has host bits.
  [[nodiscard]] static std::optional<FramedRoute> parse(std::string_view text) noexcept;
  // "destination mask [gateway [metric …]]", or either form above: Cisco's ip:route.
  [[nodiscard]] static std::optional<FramedRoute> parse_with_mask(std::string_view text) noexcept;
};

// "prefix/length [gateway [metric …]]".
struct FramedIpv6Route {
  Ipv6Prefix destination;
  Ipv6Address gateway;
  std::optional<std::int32_t> metric;
  friend bool operator==(const FramedIpv6Route&, const FramedIpv6Route&) noexcept = default;
  [[nodiscard]] static std::optional<FramedIpv6Route> parse(std::string_view text) noexcept;
};

}  // namespace pns::radius
