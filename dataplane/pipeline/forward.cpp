// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/forward.hpp"

#include <cstring>

#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/flow_hash.hpp"
#include "dataplane/pipeline/fragment.hpp"
#include "dataplane/pipeline/local_delivery.hpp"
#include "dataplane/pipeline/networks.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

// Packets with such a next hop, and no session to go to, go nowhere.
constexpr bool is_nowhere(NextHopKind kind) noexcept {
  return kind == NextHopKind::kUnreachable || kind >= NextHopKind::kPool;
}

// A packet for one of our own addresses, of either family: to the host's services. The addresses of
// an access port with a twin, which are reached on request only, are the twin's. So are reports
// that were made here while there are no services. False: those are off.
template <class Address>
bool deliver_local(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                   const NextHop& hop, const Address& destination) noexcept {
  const bool has_services = stage.port(contract::PortRole::kCore).has_services;
  const bool of_access = hop.port == contract::PortRole::kAccess && stage.port(hop.port).has_twin;
  if (of_access || (!has_services && context.session == nullptr)) {
    send_to_next_hop(stage, packet, hop, destination);
    return true;
  }
  return send_to_host(stage, context);
}

// --- IPv4 ---

// Drops a packet, and tells its sender why.
void drop_and_report(StageContext& stage, PacketContext& context, DropReason reason,
                     const wire::IcmpError& error, Bytes packet) noexcept {
  if (context.session != nullptr)
    send_icmp_error(stage, *context.session, context, error, wire::read_ipv4(packet), packet);
  drop_upstream(context, reason);
}

// Nothing leads to the destination, or it is an address of a pool that no session has. Sent out of
// the core port, the latter would come back by the route to the pools. Or a session has it that has
// just ended.
void report_unreachable(StageContext& stage, PacketContext& context, NextHopKind kind,
                        Bytes packet) noexcept {
  const bool pool = kind == NextHopKind::kPool;
  drop_and_report(stage, context, pool ? DropReason::pool_address_unused : DropReason::no_route,
                  {wire::kIcmpDestinationUnreachable,
                   pool ? wire::kIcmpCodeHostUnreachable : wire::kIcmpCodeNetUnreachable, 0},
                  packet);
}

// A packet to a next hop that leads nowhere else: a broadcast of a subscriber in the core network,
// whose TTL is not concerned, or a report.
void take_nowhere(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                  NextHopKind kind) noexcept {
  if (kind == NextHopKind::kBroadcast && stage.broadcasts != nullptr && context.session != nullptr)
    return relay_from_subscriber(stage, packet, context, wire::read_ipv4(octets_of(packet)));
  report_unreachable(stage, context, kind, octets_of(packet));
}

void refuse_services(StageContext& stage, PacketContext& context, Bytes packet) noexcept {
  drop_and_report(stage, context, DropReason::services_off,
                  {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeProhibited, 0}, packet);
}

// True when the packet may go on, with its TTL decremented.
[[gnu::always_inline]] inline bool decrement_ttl_or_drop(StageContext& stage, rte_mbuf* packet,
                                                         PacketContext& context) noexcept {
  if ((context.flags & kPacketTtlDone) != 0) return true;
  if (wire::time_to_live(octets_of(packet)) <= 1) {
    drop_and_report(stage, context, DropReason::ttl_expired, {wire::kIcmpTimeExceeded, 0, 0},
                    octets_of(packet));
    return false;
  }
  wire::decrement_ttl(octets_of(packet));
  context.flags |= kPacketTtlDone;
  return true;
}

// The session of a network behind a subscriber; empty: it has just ended. False: the packet comes
// from that session, and is dropped: the subscriber's router would send it back for ever.
bool find_behind(StageContext& stage, rte_mbuf* packet, PacketContext& context, const NextHop& hop,
                 FoundSession& found) noexcept {
  found = session_of(stage.sessions, hop);
  if (!found || found.session != context.session) return true;
  drop_and_report(stage, context, DropReason::inner_destination,
                  {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeHostUnreachable, 0},
                  octets_of(packet));
  return false;
}

// A packet that exceeds the MTU of the port its next hop is on: a report to the sender when it
// must not be cut (RFC 1191 §4), else fragments, which are appended to the burst (RFC 1812
// §4.2.2.7). False: it is dropped, and in the books already.
bool send_in_fragments(Burst& burst, StageContext& stage, rte_mbuf* packet, PacketContext& context,
                       const NextHop& hop) noexcept {
  const wire::Ipv4Header header = wire::read_ipv4(octets_of(packet));
  const std::uint16_t mtu = stage.port(hop.port).mtu;
  if (header.dont_fragment) {
    drop_and_report(stage, context, DropReason::too_big,
                    {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeFragmentationNeeded, mtu},
                    octets_of(packet));
    return false;
  }
  const auto cut = replace_by_fragments(burst, stage, packet, header, mtu, [&](rte_mbuf* fragment) {
    send_to_next_hop(stage, fragment, hop, header.destination);
  });
  if (!cut) drop_upstream(context, cut.error());
  return cut.has_value();
}

// --- IPv6 ---

// The header is read again: in the usual case it need not lie in memory.
void report_to_sender(StageContext& stage, PacketContext& context, const wire::Icmpv6Error& error,
                      Bytes packet) noexcept {
  if (context.session != nullptr)
    send_icmp_error(stage, *context.session, context, error, wire::read_ipv6(packet), packet);
}

// True when the packet may go on, with its hop limit decremented.
bool decrement_hop_limit_or_drop(StageContext& stage, rte_mbuf* packet,
                                 PacketContext& context) noexcept {
  if ((context.flags & kPacketTtlDone) != 0) return true;
  if (wire::hop_limit(octets_of(packet)) <= 1) {
    report_to_sender(stage, context, {wire::kIcmpv6TimeExceeded, 0, 0}, octets_of(packet));
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
  const NextHops& routes = stage.routing.inner;
  if (NextHops::is_group(id)) id = routes.member(id, flow_of_ipv6(octets_of(packet)));
  const NextHop hop = routes.get(id);
  FoundSession other;
  if (hop.asks_sessions()) {
    other = hop.kind == NextHopKind::kSession ? session_of(stage.sessions, hop)
                                              : stage.sessions.find_by_prefix(destination.high);
    if (hop.kind == NextHopKind::kSession && other && other.session == from) {
      // Nothing goes back onto the link it came from (RFC 4443 §3.1).
      report_to_sender(
          stage, context,
          {wire::kIcmpv6DestinationUnreachable, wire::kIcmpv6CodeAddressUnreachable, 0},
          octets_of(packet));
      drop_upstream(context, DropReason::inner_destination);
      return false;
    }
  }
  if (other) {
    if (!decrement_hop_limit_or_drop(stage, packet, context)) return false;
    attach(context, other.slot, *other.session);
    prefetch_downstream(*other.session);
    context.lane = Lane::kDownstreamIpv6;
    return true;
  }
  if (is_nowhere(hop.kind)) {
    const bool pool = hop.kind == NextHopKind::kPool;
    report_to_sender(stage, context,
                     {wire::kIcmpv6DestinationUnreachable,
                      pool ? wire::kIcmpv6CodeAddressUnreachable : wire::kIcmpv6CodeNoRoute, 0},
                     octets_of(packet));
    drop_upstream(context, pool ? DropReason::pool_address_unused : DropReason::no_route);
    return false;
  }
  if (hop.kind == NextHopKind::kLocal) {
    // As with IPv4.
    if (from != nullptr &&
        wire::answer_echo(octets_of(packet), wire::read_ipv6(octets_of(packet)))) {
      send_back(stage, context, Lane::kDownstreamIpv6);
      return false;  // in the books already
    }
    if (!deliver_local(stage, packet, context, hop, destination)) {
      report_to_sender(stage, context,
                       {wire::kIcmpv6DestinationUnreachable, wire::kIcmpv6CodeProhibited, 0},
                       octets_of(packet));
      drop_upstream(context, DropReason::services_off);
      return false;
    }
  } else {
    if (!hop.keeps_ttl() && !decrement_hop_limit_or_drop(stage, packet, context)) return false;
    const std::uint16_t mtu = stage.port(hop.port).mtu;
    if (packet->data_len > mtu) {
      report_to_sender(stage, context, {wire::kIcmpv6PacketTooBig, 0, mtu}, octets_of(packet));
      drop_upstream(context, DropReason::too_big);
      return false;
    }
    send_to_next_hop(stage, packet, hop, destination);
  }
  if (context.lane != Lane::kDrop) return true;
  if (from != nullptr) from->upstream.drops.add(1);
  return false;
}

}  // namespace

void forward_ipv4(Burst& burst, StageContext& stage) noexcept {
  static_assert(Burst::kCapacity <= NextHops::kMaxLookup);
  std::array<std::uint32_t, Burst::kCapacity> destinations;
  std::array<NextHops::Found, Burst::kCapacity> found;
  std::array<std::uint16_t, Burst::kCapacity> at;
  std::size_t count = 0;
  bool ipv6 = false;
  for (std::uint16_t i = 0; i < burst.count; ++i) {
    const PacketContext& context = context_of(burst.packets[i]);
    if (context.lane != Lane::kForwardIpv4) {
      ipv6 |= context.lane == Lane::kForwardIpv6;
      continue;
    }
    destinations[count] = context.destination.value;
    at[count++] = i;
  }
  burst.has_ipv6 |= ipv6;
  if (count == 0) return;
  const NextHops& routes = stage.routing.inner;
  routes.lookup(std::span(destinations).first(count), std::span(found).first(count));

  std::uint64_t packets = 0;
  std::uint64_t octets = 0;
  NextHop hop;
  NextHopId hop_id;  // 0: unreachable, as `hop` is
  for (std::size_t n = 0; n < count; ++n) {
    rte_mbuf* packet = burst.packets[at[n]];
    PacketContext& context = context_of(packet);
    SessionRecord* const from = context.session;
    NextHopId id = NextHops::id_of(found[n]);
    if (NextHops::is_group(id)) [[unlikely]]
      id = routes.member(id, flow_of_ipv4(octets_of(packet)));
    if (id != hop_id) {
      hop_id = id;
      hop = routes.get(hop_id);
    }
    FoundSession other;
    if (hop.asks_sessions()) [[unlikely]] {
      if (hop.kind != NextHopKind::kSession)
        other = stage.sessions.find_by_address(context.destination);
      else if (!find_behind(stage, packet, context, hop, other))
        continue;
    }
    if (other) [[unlikely]] {
      if (!decrement_ttl_or_drop(stage, packet, context)) continue;
      attach(context, other.slot, *other.session);
      prefetch_downstream(*other.session);
      context.lane = Lane::kDownstreamIpv4;
    } else {
      if (is_nowhere(hop.kind)) {
        take_nowhere(stage, packet, context, hop.kind);
        continue;
      }
      if (hop.kind == NextHopKind::kLocal) [[unlikely]] {
        // A whole ping is answered here, whether there are services or not.
        if (from != nullptr && answer_ping(stage, packet, context)) continue;
        if (!deliver_local(stage, packet, context, hop, context.destination)) {
          refuse_services(stage, context, octets_of(packet));
          continue;
        }
      } else {
        if (!hop.keeps_ttl() && !decrement_ttl_or_drop(stage, packet, context)) continue;
        if (packet->data_len > stage.port(hop.port).mtu) {
          if (!send_in_fragments(burst, stage, packet, context, hop)) continue;
        } else {
          send_to_next_hop(stage, packet, hop, context.destination);
        }
      }
    }
    if (from == nullptr) continue;
    if (context.lane == Lane::kDrop) {
      from->upstream.drops.add(1);
      continue;
    }
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
  stage.routing.inner.lookup(std::span(destinations).first(count), std::span(ids).first(count));

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
