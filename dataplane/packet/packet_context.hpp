// SPDX-License-Identifier: BSD-3-Clause
//
// PacketContext: what the stages know about one packet. One cache line in the mbuf's private area,
// so it travels with the packet through rings to other workers, to the main thread and back.
// Whoever holds the mbuf owns it. The packet's octets are the mbuf's data: its start moves with the
// layer that is being worked on (Ethernet, PPP, inner IP, outer IP, Ethernet again).
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "pns/base/bytes.hpp"
#include "pns/base/drop_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/punt_class.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// The stage that touches the packet next, or its fate. Data starts at what the comment names.
enum class Lane : std::uint8_t {
  kReceived = 0,  // Ethernet; classify has not seen it
  // --- upstream ---
  kFragment,   // of an outer IPv4 packet for one of our addresses; Ethernet
  kGre,        // outer IPv4 checked and for one of our addresses; session, if any, is whom the
               // index names; Ethernet
  kPpp,        // PPP, from Address or Protocol field
  kMppe,       // MPPE header
  kInnerIpv4,  // inner IPv4, unchecked, from session
  kInnerIpv6,  // likewise IPv6
  // --- either way ---
  kForwardIpv4,  // inner IPv4, checked, wants a next hop or another session
  kForwardIpv6,  // likewise IPv6
  // --- downstream ---
  kSubscriber,      // IPv4 from the core, checked; session is whom the index names; Ethernet
  kDownstreamIpv4,  // inner IPv4 for a subscriber, checked; session is the subscriber's
  kDownstreamIpv6,  // likewise IPv6
  kSeal,            // inner packet that fits, wants encryption or not
  kPppOut,          // what ppp_protocol says, wants its PPP header
  kGreOut,          // PPP frame; empty: acknowledgement only
  // --- fates, carried out by finish() ---
  kTransmit,  // Ethernet, complete; port
  kPunt,      // Ethernet, to the twin of port; PuntClass::service: IP, to the host's services
  kControl,   // PPP frame from the Protocol field, for the control process
  kResolve,   // Ethernet without destination; main finds the MAC of next_hop on port
  kHandOver,  // as resume says, for worker
  kRelay,     // IP, a template of BroadcastRelay; source and destination are its network's ends
  kConsumed,  // ended here on purpose
  kDrop,      // drop says why
};

[[nodiscard]] constexpr std::uint32_t lane_bit(Lane lane) noexcept {
  return std::uint32_t{1} << static_cast<unsigned>(lane);
}

// PacketContext::flags
inline constexpr std::uint16_t kPacketTtlDone = 1U << 0;     // TTL or hop limit is decremented
inline constexpr std::uint16_t kPacketUnverified = 1U << 1;  // window moves only if MPPE vouches
inline constexpr std::uint16_t kPacketInjected = 1U << 2;    // from the control process
inline constexpr std::uint16_t kPacketNoIcmp = 1U << 3;      // made here: no ICMP error about it
inline constexpr std::uint16_t kPacketReleased = 1U << 4;    // has waited for the send window
inline constexpr std::uint16_t kPacketWaitPaid = 1U << 5;    // held_timeouts has paid for it
// Waits behind a gap that the missing GRE numbers explain.
inline constexpr std::uint16_t kPacketGapExplained = 1U << 8;
// kControl: no frame, but word that no packet of the session opens (contract::PathDead).
inline constexpr std::uint16_t kPacketPathDead = 1U << 6;
inline constexpr std::uint16_t kPacketOpenedOnce = 1U << 7;  // PathDead::opened_since_armed
inline constexpr std::uint16_t kPacketForGateway = 1U << 9;  // kResolve: next_hop is a gateway
inline constexpr std::uint16_t kPacketOuter = 1U << 10;      // kResolve: GRE, of the outer network
// From a program of this host, or forwarded by it.
inline constexpr std::uint16_t kPacketFromHost = 1U << 11;
// Must wait for its session's rate; next_hop.low is when it may leave (CLOCK_MONOTONIC).
inline constexpr std::uint16_t kPacketWaits = 1U << 12;

struct alignas(64) PacketContext {
  Lane lane = Lane::kReceived;
  DropReason drop = DropReason::kNone;
  contract::PortRole port{};  // received on; from kTransmit, kPunt and kResolve on: goes out of
  Lane resume{};              // kHandOver: the lane at the owner
  std::uint16_t flags = 0;
  std::uint16_t ppp_protocol = 0;  // kPppOut, kSeal: of the payload; kControl: as punted
  // Valid while session is set, for kControl, and for kHandOver to kSubscriber; kHandOver: likely,
  // or 0.
  SlotId slot;
  std::uint32_t generation = 0;
  contract::SessionRecord* session = nullptr;
  std::uint32_t sequence = 0;      // GRE, as received
  WorkerId worker;                 // kHandOver
  std::uint16_t inner_length = 0;  // octets of inner IP
  Ipv4Address destination;         // kGre: outer; from kForwardIpv4 on: inner
  Ipv4Address source;              // kGre: outer
  std::uint16_t payload_at = 0;    // kGre: octets of Ethernet and IPv4 header
  std::uint16_t outer_length = 0;  // kGre: octets of outer IP
  std::uint8_t local = 0;          // kGre: SessionTable's number of destination
  PuntClass punt_class{};          // kPunt
  std::array<std::uint8_t, 2> spare{};
  // kResolve: mapped_address.hpp. While it waits behind a gap: low is when it began to. While it
  // waits for a rate: low is when it may leave.
  Ipv6Address next_hop;
};

static_assert(sizeof(PacketContext) == 64, "one cache line per packet");
static_assert(std::is_trivially_copyable_v<PacketContext>);

// Private area every mbuf pool of the dataplane must have, in octets.
inline constexpr std::uint16_t kMbufPrivateSize = sizeof(PacketContext);

[[nodiscard]] inline PacketContext& context_of(rte_mbuf* packet) noexcept {
  return *static_cast<PacketContext*>(rte_mbuf_to_priv(packet));
}

// The octets of a single-segment packet.
// An mbuf that holds these octets; its context is not set. Null: no buffer, or too many octets.
[[nodiscard]] inline rte_mbuf* packet_of(rte_mempool* pool, Bytes octets) noexcept {
  rte_mbuf* const packet = rte_pktmbuf_alloc(pool);
  if (packet == nullptr || octets.empty()) return packet;
  char* const room = octets.size() <= UINT16_MAX
                         ? rte_pktmbuf_append(packet, static_cast<std::uint16_t>(octets.size()))
                         : nullptr;
  if (room == nullptr) {
    rte_pktmbuf_free(packet);
    return nullptr;
  }
  std::memcpy(room, octets.data(), octets.size());
  return packet;
}

[[nodiscard]] inline MutableBytes octets_of(rte_mbuf* packet) noexcept {
  return {rte_pktmbuf_mtod(packet, std::byte*), rte_pktmbuf_data_len(packet)};
}

// Leaves `length` octets of a single-segment packet that has so many from `at` on. rte_pktmbuf_trim
// looks for the last segment, in the second cache line of the mbuf, which nothing else here needs.
inline void narrow(rte_mbuf* packet, std::size_t at, std::size_t length) noexcept {
  packet->data_off = static_cast<std::uint16_t>(packet->data_off + at);
  packet->data_len = static_cast<std::uint16_t>(length);
  packet->pkt_len = static_cast<std::uint32_t>(length);
}

inline void drop(PacketContext& context, DropReason reason) noexcept {
  context.lane = Lane::kDrop;
  context.drop = reason;
}

// Names the session a packet belongs to.
inline void attach(PacketContext& context, SlotId slot, contract::SessionRecord& session) noexcept {
  context.slot = slot;
  context.session = &session;
  context.generation = session.generation.load(std::memory_order_relaxed);
}

}  // namespace pns::dataplane
