// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <cstddef>

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Fetches the lines of a received packet that every stage touches: the mbuf, its context, and two
// of the frame. Beside the line of the Ethernet header, that is the one with the inner header
// (access) or the one that takes the outer headers (core). Reads nothing: the frame is where a
// driver puts it in a buffer of our pool.
inline void prefetch_frame(const rte_mbuf* packet, contract::PortRole port) noexcept {
  const auto* const context = reinterpret_cast<const std::byte*>(packet) + sizeof(rte_mbuf);
  const auto* const frame = context + kMbufPrivateSize + RTE_PKTMBUF_HEADROOM;
  rte_prefetch0(packet);
  rte_prefetch0(context);
  rte_prefetch0(frame);
  rte_prefetch0(port == contract::PortRole::kAccess ? frame + RTE_CACHE_LINE_SIZE
                                                    : frame - RTE_CACHE_LINE_SIZE);
}

// Every packet of a receive burst, of Burst::kReceive at most: fresh context, one segment, right
// Ethernet destination; then the lane. access: GRE for one of our addresses → kGre. core: IPv4
// whose destination an index knows → kSubscriber; IPv6 → kDownstreamIpv6 with its session, Ethernet
// taken off. The rest → kPunt, or a drop where the port has no twin.
void classify(Burst& burst, contract::PortRole port, StageContext& stage) noexcept;

// The port that a frame belongs to where both ports are one link: the core port has what is for
// subscribers, for addresses of the pools that no session has, and what may ask for them (ARP, IPv6
// group traffic). GRE for us is the access port's, and so is the rest.
[[nodiscard]] contract::PortRole port_of_frame(const StageContext& stage, Bytes frame) noexcept;

// The session that an Ethernet frame is for, by inner destination, which may lie in a network
// behind its subscriber, and the lane of such packets; empty for anything else.
struct ForSubscriber {
  FoundSession session;
  Lane lane = Lane::kDownstreamIpv4;
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(session); }
};
[[nodiscard]] ForSubscriber subscriber_of(const SessionTable& sessions, const NextHops& inner,
                                          Bytes frame) noexcept;
// The same of a packet of IP.
[[nodiscard]] ForSubscriber subscriber_of_packet(const SessionTable& sessions,
                                                 const NextHops& inner, Bytes packet) noexcept;

}  // namespace pns::dataplane
