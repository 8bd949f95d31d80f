// SPDX-License-Identifier: BSD-3-Clause
//
// PPP protocol numbers (RFC 1661 §2, IANA "PPP DLL Protocol Numbers"), those this server knows by
// name. A number from the wire may have any other value: compare, never switch without a default.
// Pure values, any thread.
#pragma once

#include <cstdint>

namespace pns::wire {

enum class PppProtocol : std::uint16_t {
  kIpv4 = 0x0021,    // RFC 1332
  kIpv6 = 0x0057,    // RFC 5072
  kMppe = 0x00fd,    // compressed datagram: RFC 1962 §3, with MPPE RFC 3078 §3
  kIpcp = 0x8021,    // RFC 1332
  kIpv6cp = 0x8057,  // RFC 5072
  kCcp = 0x80fd,     // RFC 1962
  kLcp = 0xc021,     // RFC 1661
  kPap = 0xc023,     // RFC 1334
  kChap = 0xc223,    // RFC 1994
  kEap = 0xc227,     // RFC 3748
};

// Whether a protocol number of the wire is this one.
[[nodiscard]] constexpr bool is(std::uint16_t protocol, PppProtocol known) noexcept {
  return protocol == static_cast<std::uint16_t>(known);
}

// HDLC Address and Control octets in front of the protocol field (RFC 1662 §3.1).
inline constexpr std::uint8_t kPppAddress = 0xff;
inline constexpr std::uint8_t kPppControl = 0x03;

}  // namespace pns::wire
