// SPDX-License-Identifier: BSD-3-Clause
//
// IpAddress: an address of either family; IpEndpoint: with a port. Plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>

#include "pns/base/ip_address.hpp"

namespace pns {

using IpAddress = std::variant<Ipv4Address, Ipv6Address>;

[[nodiscard]] inline bool is_ipv6(const IpAddress& address) noexcept {
  return std::holds_alternative<Ipv6Address>(address);
}

[[nodiscard]] inline std::string to_string(const IpAddress& address) {
  return std::visit([](const auto& a) { return a.to_string(); }, address);
}

struct IpEndpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // "192.0.2.1:1812" or "[2001:db8::1]:1812".
  [[nodiscard]] std::string to_string() const {
    const std::string text = pns::to_string(address);
    return (is_ipv6(address) ? "[" + text + "]" : text) + ":" + std::to_string(port);
  }
  friend auto operator<=>(const IpEndpoint&, const IpEndpoint&) noexcept = default;
};

}  // namespace pns
