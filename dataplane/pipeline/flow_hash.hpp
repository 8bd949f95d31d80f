// SPDX-License-Identifier: BSD-3-Clause
//
// 32 bits that are the same for all packets of a flow: which next hop of a group they take. Inner
// packets: both addresses, the protocol, and the ports of what is no fragment. Fragments have no
// ports behind the first, so none of them counts ports. GRE: the session, whose packets must stay
// in order. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pns/base/be.hpp"
#include "pns/base/bytes.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace detail {

// The upper half of a product depends on all bits of both factors.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const std::uint64_t product = (a ^ 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9 + b;
  return (product ^ (product >> 32)) * 0x94d049bb133111eb;
}

// Ports are the first four octets behind the headers of these.
[[nodiscard]] constexpr bool has_ports(std::uint8_t protocol) noexcept {
  return protocol == wire::kIpProtocolTcp || protocol == wire::kIpProtocolUdp;
}

[[nodiscard]] inline std::uint64_t ports_at(Bytes packet, std::size_t at) noexcept {
  return packet.size() < at + 4 ? 0 : load_be<std::uint32_t>(packet.data() + at);
}

}  // namespace detail

// `packet`: checked, from its IPv4 header on.
[[nodiscard]] inline std::uint32_t flow_of_ipv4(Bytes packet) noexcept {
  const wire::Ipv4Header header = wire::read_ipv4(packet);
  const std::uint64_t addresses =
      std::uint64_t{header.source.value} << 32 | header.destination.value;
  const std::uint64_t ports = detail::has_ports(header.protocol) && !header.is_fragment()
                                  ? detail::ports_at(packet, header.header_length)
                                  : 0;
  return static_cast<std::uint32_t>(detail::mix(addresses, ports << 8 | header.protocol) >> 32);
}

// `packet`: checked, from its IPv6 header on. Ports count where they follow it at once.
[[nodiscard]] inline std::uint32_t flow_of_ipv6(Bytes packet) noexcept {
  const wire::Ipv6Header header = wire::read_ipv6(packet);
  const std::uint64_t source = detail::mix(header.source.high, header.source.low);
  const std::uint64_t destination = detail::mix(header.destination.high, header.destination.low);
  const std::uint64_t ports =
      detail::has_ports(header.next_header) ? detail::ports_at(packet, wire::kIpv6HeaderSize) : 0;
  return static_cast<std::uint32_t>(
      detail::mix(detail::mix(source, destination), ports << 8 | header.next_header) >> 32);
}

// The GRE packets to a session's peer.
[[nodiscard]] inline std::uint32_t flow_of_gre(const contract::SessionRecord& session) noexcept {
  const std::uint64_t addresses = std::uint64_t{session.local.value} << 32 | session.peer.value;
  return static_cast<std::uint32_t>(detail::mix(addresses, session.peer_call_id.value) >> 32);
}

}  // namespace pns::dataplane
