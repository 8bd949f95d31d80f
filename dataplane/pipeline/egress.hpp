// SPDX-License-Identifier: BSD-3-Clause
//
// The last step of either direction: an IP packet and its next hop become an Ethernet frame on a
// port, a request to main for a MAC address, or a frame for the kernel. And the ICMP errors that
// the stages cause. One worker.
#pragma once

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "dataplane/packet/packet_context.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "pns/base/be.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {

// Sends a frame, data at its Ethernet header, to the twin of a port, within the rate of its
// PuntClass. Without a twin, drops it for `otherwise`.
void punt_to_kernel(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                    contract::PortRole port, DropReason otherwise) noexcept;

// A frame from the core port, data at its Ethernet header, checked, to a `destination` (of either
// family) that no session has. One in a network behind a subscriber goes down his session. An
// address of the pools is nobody else's: dropped without an answer. Others go to the kernel
// (no_session where there is no twin).
void take_no_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                        Ipv4Address destination) noexcept;
void take_no_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                        const Ipv6Address& destination) noexcept;

namespace detail {

// A next hop that is kResolved, as nearly all are.
inline void send_resolved(rte_mbuf* packet, PacketContext& context, const NextHop& hop,
                          std::uint16_t ether_type) noexcept {
  static_assert(offsetof(NextHop, source) == offsetof(NextHop, destination) + sizeof(MacAddress));
  constexpr std::size_t kAddresses = 2 * sizeof(MacAddress);
  char* const room = rte_pktmbuf_prepend(packet, wire::kEthernetHeaderSize);
  if (room == nullptr) return drop(context, DropReason::no_headroom);
  std::memcpy(room, reinterpret_cast<const char*>(&hop) + offsetof(NextHop, destination),
              kAddresses);
  store_be(reinterpret_cast<std::byte*>(room) + kAddresses, ether_type);
  context.port = hop.port;
  context.lane = Lane::kTransmit;
}

// The same where the next hop's MAC is not known: main resolves it.
void send_unresolved(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                     Ipv4Address destination) noexcept;
void send_unresolved(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                     const Ipv6Address& destination) noexcept;

}  // namespace detail

// Puts the Ethernet header before an IP packet and sets its fate. kUnreachable: no_route.
// `destination`: of either family.
template <class Address>
void send_to_next_hop(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                      const Address& destination) noexcept {
  constexpr std::uint16_t kType =
      std::is_same_v<Address, Ipv6Address> ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4;
  if (hop.kind == NextHopKind::kResolved)
    detail::send_resolved(packet, context_of(packet), hop, kType);
  else
    detail::send_unresolved(stage, packet, hop, destination);
}

// Reports `packet` (inner IP, `header` parsed from it) to its sender, when the rules (RFC 1812
// §4.3.2.7, RFC 4443 §2.4) and the rate permit: per session, 100 a second, 20 at once, both
// families. The report goes through the stages in the next turn. `session` pays for it. False:
// nothing was made.
bool send_icmp_error(StageContext& stage, contract::SessionRecord& session,
                     const PacketContext& context, const wire::IcmpError& error,
                     const wire::Ipv4Header& header, Bytes packet) noexcept;
bool send_icmp_error(StageContext& stage, contract::SessionRecord& session,
                     const PacketContext& context, const wire::Icmpv6Error& error,
                     const wire::Ipv6Header& header, Bytes packet) noexcept;

}  // namespace pns::dataplane
