// SPDX-License-Identifier: BSD-3-Clause
//
// An address of either family in one type: IPv4 as ::ffff:0:0/96 (RFC 4291 §2.5.5.2). Next hops,
// neighbours and routes of both families then lie in the same maps. No such address comes from the
// wire: forwarding refuses them. Pure functions, any thread.
#pragma once

#include <cstdint>

#include "pns/base/ip_address.hpp"

namespace pns::dataplane {

inline constexpr std::uint8_t kMappedBits = 96;

[[nodiscard]] constexpr Ipv6Address mapped(Ipv4Address address) noexcept {
  return {0, std::uint64_t{0xffff} << 32 | address.value};
}
[[nodiscard]] constexpr Ipv6Prefix mapped(const Ipv4Prefix& prefix) noexcept {
  return {mapped(prefix.address), static_cast<std::uint8_t>(kMappedBits + prefix.length)};
}
[[nodiscard]] constexpr bool is_mapped(const Ipv6Address& address) noexcept {
  return address.high == 0 && (address.low >> 32) == 0xffff;
}
// Only of mapped ones.
[[nodiscard]] constexpr Ipv4Address unmapped(const Ipv6Address& address) noexcept {
  return Ipv4Address(static_cast<std::uint32_t>(address.low));
}
[[nodiscard]] constexpr Ipv4Prefix unmapped(const Ipv6Prefix& prefix) noexcept {
  return {unmapped(prefix.address), static_cast<std::uint8_t>(prefix.length - kMappedBits)};
}

}  // namespace pns::dataplane
