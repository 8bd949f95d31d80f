// SPDX-License-Identifier: BSD-3-Clause
//
// The report to the sender of a packet whose next hop did not tell its MAC address: ICMP host
// unreachable (RFC 1812 §5.2.7.1), ICMPv6 address unreachable (RFC 4443 §3.1). Main makes it, when
// the packet has waited for as long as it may. Pure functions, any thread.
#pragma once

#include <cstddef>

#include "pns/base/bytes.hpp"
#include "pns/base/ip_address.hpp"

namespace pns::dataplane {

struct ReportSources {
  Ipv4Address ipv4;  // of our ICMP errors; unspecified: none are sent
  Ipv6Address ipv6;
};

// Octets that any report fits in: an Ethernet header and the longest ICMP error.
inline constexpr std::size_t kMaxUnreachableReport = 14 + 1280;

// Writes the report about `frame` (Ethernet header, IP packet) into `out`: an Ethernet frame from
// and to `mac`, so that it goes nowhere unless its destination is a subscriber. Result: octets; 0:
// the packet may cause no report, or there is no source address.
[[nodiscard]] std::size_t write_host_unreachable(MutableBytes out, Bytes frame,
                                                 const MacAddress& mac,
                                                 const ReportSources& sources) noexcept;

}  // namespace pns::dataplane
