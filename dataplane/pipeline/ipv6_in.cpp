// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv6_in.hpp"

#include <cstring>
#include <optional>

#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/local_delivery.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ppp_protocol.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

constexpr std::uint16_t kIpv6Protocol = static_cast<std::uint16_t>(wire::PppProtocol::kIpv6);
constexpr std::uint16_t kIpv6AndTcpHeader = 60;

// A Neighbor Solicitation: for our address on the link, it is answered.
void take_neighbor_solicitation(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                                const wire::Ipv6Header& header) noexcept {
  const auto target = wire::neighbor_solicitation_target(octets_of(packet), header);
  if (!target) return drop_upstream(context, DropReason::nd_invalid);
  // Duplicate address detection has no sender to answer; IPv6CP has made the identifiers differ.
  if (*target != wire::link_local(context.session->our_interface_id) ||
      header.source.is_unspecified()) {
    context.lane = Lane::kConsumed;
    return;
  }
  wire::write_neighbor_advertisement(octets_of(packet), *target, header.source);
  narrow(packet, 0, wire::kNeighborAdvertisementSize);
  send_back(stage, context, Lane::kDownstreamIpv6);
}

// What does not leave the link.
void take_link_scope(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     const wire::Ipv6Header& header) noexcept {
  const bool multicast = header.destination.is_multicast();
  if (multicast ? wire::multicast_scope(header.destination) != wire::kScopeLink
                : header.destination != wire::link_local(context.session->our_interface_id))
    return drop_upstream(context, DropReason::inner_destination);
  const auto type = wire::icmpv6_type(octets_of(packet), header);
  if (type == wire::kIcmpv6RouterSolicitation) {
    if (!wire::is_valid_router_solicitation(octets_of(packet), header))
      return drop_upstream(context, DropReason::nd_invalid);
    return punt_to_control(stage, packet, context, kIpv6Protocol, 0);
  }
  if (type == wire::kIcmpv6NeighborSolicitation)
    return take_neighbor_solicitation(stage, packet, context, header);
  if (multicast) {
    context.lane = Lane::kConsumed;
    return;
  }
  if (!wire::answer_echo(octets_of(packet), header))
    return drop_upstream(context, DropReason::inner_destination);
  send_back(stage, context, Lane::kDownstreamIpv6);
}

// An address of the session's own /64: the Subnet-Router anycast address is ours (RFC 4291 §2.6.1);
// nothing goes back onto the link it came from (RFC 4443 §3.1).
void take_own_prefix(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     const wire::Ipv6Header& header) noexcept {
  if (header.destination.low == 0 && wire::answer_echo(octets_of(packet), header))
    return send_back(stage, context, Lane::kDownstreamIpv6);
  if (header.destination.low != 0)
    send_icmp_error(stage, *context.session, context,
                    {wire::kIcmpv6DestinationUnreachable, wire::kIcmpv6CodeAddressUnreachable, 0},
                    header, octets_of(packet));
  drop_upstream(context, DropReason::inner_destination);
}

// Ours, or the peer's on this link; nobody's yet, for a question to a group.
bool is_source_right(const SessionRecord& session, const wire::Ipv6Header& header,
                     bool link_scope) noexcept {
  if (header.source.high == session.ipv6_prefix) return true;
  if (!link_scope) return false;
  return header.source == wire::link_local(session.peer_interface_id) ||
         (header.source.is_unspecified() && header.destination.is_multicast());
}

void check(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  const auto header = wire::parse_ipv6(octets_of(packet));
  if (!header) return drop_upstream(context, inner_reason(header.error()));
  const bool multicast = header->destination.is_multicast();
  const bool link_scope = multicast || header->destination.is_link_local();
  if (!is_source_right(session, *header, link_scope))
    return drop_upstream(context, DropReason::inner_source);
  if (!link_scope && wire::is_unforwardable(header->destination))
    return drop_upstream(context, DropReason::inner_destination);
  const std::uint32_t length = header->total_length();
  if (!admit_octets(session.upstream.rate_spent_ns, stage.now_ns, length,
                    session.rate_bits_per_second))
    return drop_upstream(context, DropReason::rate_limited);
  narrow(packet, 0, length);
  context.inner_length = static_cast<std::uint16_t>(length);
  if (link_scope) return take_link_scope(stage, packet, context, *header);
  if (header->destination.high == session.ipv6_prefix)
    return take_own_prefix(stage, packet, context, *header);
  wire::clamp_mss(octets_of(packet), *header,
                  static_cast<std::uint16_t>(ipv6_mtu(session) - kIpv6AndTcpHeader));
  stage.sessions.prefetch_prefix(header->destination.high);
  context.lane = Lane::kForwardIpv6;
}

// The header is read again: in the usual case it need not lie in memory.
void report(StageContext& stage, PacketContext& context, const wire::Icmpv6Error& error,
            Bytes packet) noexcept {
  if (context.session != nullptr)
    send_icmp_error(stage, *context.session, context, error, wire::read_ipv6(packet), packet);
}

// True when the packet may go on, with its hop limit decremented.
bool pay_hop_limit(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  if ((context.flags & kPacketTtlDone) != 0) return true;
  if (wire::hop_limit(octets_of(packet)) <= 1) {
    report(stage, context, {wire::kIcmpv6TimeExceeded, 0, 0}, octets_of(packet));
    drop_upstream(context, DropReason::ttl_expired);
    return false;
  }
  wire::decrement_hop_limit(octets_of(packet));
  context.flags |= kPacketTtlDone;
  return true;
}

// To another subscriber, or towards the core; sets the fate. True: delivered, as far as it is up to
// this half.
bool forward_one(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                 NextHopId id) noexcept {
  const Ipv6Address destination = wire::read_ipv6(octets_of(packet)).destination;
  SessionRecord* const from = context.session;
  if (const FoundSession other = stage.sessions.find_by_prefix(destination.high); other) {
    if (!pay_hop_limit(stage, packet, context)) return false;
    attach(context, other.slot, *other.session);
    prefetch_downstream(*other.session);
    context.lane = Lane::kDownstreamIpv6;
    return true;
  }
  const NextHop hop = stage.next_hops.get(id);
  if (hop.kind == NextHopKind::kUnreachable) {
    report(stage, context, {wire::kIcmpv6DestinationUnreachable, wire::kIcmpv6CodeNoRoute, 0},
           octets_of(packet));
    drop_upstream(context, DropReason::no_route);
    return false;
  }
  if (hop.kind == NextHopKind::kLocal) {
    // The kernel has no route back to a subscriber: a ping to the server's own addresses is
    // answered here too, the rest is the twin's.
    if (from != nullptr &&
        wire::answer_echo(octets_of(packet), wire::read_ipv6(octets_of(packet)))) {
      send_back(stage, context, Lane::kDownstreamIpv6);
      return false;  // in the books already
    }
  } else {
    if (!pay_hop_limit(stage, packet, context)) return false;
    const std::uint16_t mtu = stage.port(hop.port).mtu;
    if (packet->data_len > mtu) {
      report(stage, context, {wire::kIcmpv6PacketTooBig, 0, mtu}, octets_of(packet));
      drop_upstream(context, DropReason::too_big);
      return false;
    }
  }
  send_to_next_hop(stage, packet, hop, destination);
  if (context.lane != Lane::kDrop) return true;
  if (from != nullptr) from->upstream.drops.add(1);
  return false;
}

}  // namespace

void ipv6_in(Burst& burst, StageContext& stage) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kInnerIpv6) check(stage, packet, context);
  }
}

void forward_ipv6(Burst& burst, StageContext& stage) noexcept {
  std::array<NextHops::Ipv6Octets, Burst::kCapacity> destinations;
  std::array<NextHopId, Burst::kCapacity> ids;
  std::array<std::uint16_t, Burst::kCapacity> at;
  std::size_t count = 0;
  for (std::uint16_t i = 0; i < burst.count; ++i) {
    if (context_of(burst.packets[i]).lane != Lane::kForwardIpv6) continue;
    std::memcpy(destinations[count],
                octets_of(burst.packets[i]).data() + offsetof(wire::Ipv6WireHeader, destination),
                sizeof(NextHops::Ipv6Octets));
    at[count++] = i;
  }
  if (count == 0) return;
  stage.next_hops.lookup(std::span(destinations).first(count), std::span(ids).first(count));

  std::uint64_t packets = 0;
  std::uint64_t octets = 0;
  for (std::size_t n = 0; n < count; ++n) {
    PacketContext& context = context_of(burst.packets[at[n]]);
    SessionRecord* const from = context.session;
    if (!forward_one(stage, burst.packets[at[n]], context, ids[n]) || from == nullptr) continue;
    from->upstream.packets.add(1);
    from->upstream.bytes.add(context.inner_length);
    ++packets;
    octets += context.inner_length;
  }
  if (packets != 0) {
    stage.counters.upstream_packets.add(packets);
    stage.counters.upstream_bytes.add(octets);
  }
}

}  // namespace pns::dataplane
