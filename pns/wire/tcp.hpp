// SPDX-License-Identifier: BSD-3-Clause
//
// The one thing a tunnel does to TCP: lower the MSS option of a SYN to what fits (RFC 4459 §3.2).
// Pure functions, any thread.
#pragma once

#include <cstdint>

#include "pns/base/bytes.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::wire {

// When the parsed IPv4 packet is an unfragmented TCP SYN (or SYN-ACK) whose MSS option exceeds
// `limit` octets, writes `limit` there and mends the TCP checksum. True when it changed the packet.
// Malformed options end the search; the walk moves at least one octet a step.
bool clamp_mss(MutableBytes packet, const Ipv4Header& header, std::uint16_t limit) noexcept;
// The same of a parsed IPv6 packet, also behind extension headers.
bool clamp_mss(MutableBytes packet, const Ipv6Header& header, std::uint16_t limit) noexcept;

}  // namespace pns::wire
