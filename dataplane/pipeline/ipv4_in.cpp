// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv4_in.hpp"

#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/ipv6_in.hpp"
#include "dataplane/pipeline/local_delivery.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

// Answers a ping to one of our own addresses, back down the same session. False: it is none.
bool answer(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const MutableBytes data = octets_of(packet);
  if (!wire::answer_echo(data, wire::read_ipv4(data))) return false;
  send_back(stage, context, Lane::kDownstreamIpv4);
  return true;
}

void check(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  if (const DropReason why = wire::check_ipv4(octets_of(packet)); why != DropReason::kNone)
    return drop_upstream(context, inner_reason(why));
  const wire::Ipv4Header header = wire::read_ipv4(octets_of(packet));
  if (header.source != session.subscriber) return drop_upstream(context, DropReason::inner_source);
  if (wire::is_unforwardable(header.destination))
    return drop_upstream(context, DropReason::inner_destination);
  if (!admit_octets(session.upstream.rate_spent_ns, stage.now_ns, header.total_length,
                    session.rate_bits_per_second))
    return drop_upstream(context, DropReason::rate_limited);
  narrow(packet, 0, header.total_length);
  if (session.inner_mtu > 40)
    wire::clamp_mss(octets_of(packet), header, static_cast<std::uint16_t>(session.inner_mtu - 40));
  context.destination = header.destination;
  context.inner_length = header.total_length;
  context.lane = Lane::kForwardIpv4;
  // Our side of the link is no interface of the kernel's: its pings are answered here.
  if (header.destination == session.gateway && !answer(stage, packet, context))
    drop_upstream(context, DropReason::inner_destination);
}

// Drops a packet, and tells its sender why.
void refuse(StageContext& stage, PacketContext& context, DropReason reason,
            const wire::IcmpError& error, Bytes packet) noexcept {
  if (context.session != nullptr)
    send_icmp_error(stage, *context.session, context, error, wire::read_ipv4(packet), packet);
  drop_upstream(context, reason);
}

// True when the packet may go on, with its TTL decremented.
[[gnu::always_inline]] inline bool pay_ttl(StageContext& stage, rte_mbuf* packet,
                                           PacketContext& context) noexcept {
  if ((context.flags & kPacketTtlDone) != 0) return true;
  if (wire::time_to_live(octets_of(packet)) <= 1) {
    refuse(stage, context, DropReason::ttl_expired, {wire::kIcmpTimeExceeded, 0, 0},
           octets_of(packet));
    return false;
  }
  wire::decrement_ttl(octets_of(packet));
  context.flags |= kPacketTtlDone;
  return true;
}

}  // namespace

void ipv4_in(Burst& burst, StageContext& stage) noexcept {
  bool ipv6 = false;
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kInnerIpv4)
      check(stage, packet, context);
    else
      ipv6 |= context.lane == Lane::kInnerIpv6;
  }
  if (ipv6) ipv6_in(burst, stage);
}

void forward(Burst& burst, StageContext& stage) noexcept {
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
  if (ipv6) forward_ipv6(burst, stage);
  if (count == 0) return;
  stage.next_hops.lookup(std::span(destinations).first(count), std::span(found).first(count));

  std::uint64_t packets = 0;
  std::uint64_t octets = 0;
  NextHop hop;
  NextHopId hop_id;  // 0: unreachable, as `hop` is
  for (std::size_t n = 0; n < count; ++n) {
    rte_mbuf* packet = burst.packets[at[n]];
    PacketContext& context = context_of(packet);
    SessionRecord* const from = context.session;
    const FoundSession other = stage.sessions.find_by_address(context.destination);
    if (const NextHopId id = NextHops::id_of(found[n]); id != hop_id) {
      hop_id = id;
      hop = stage.next_hops.get(hop_id);
    }
    if (other) {
      if (!pay_ttl(stage, packet, context)) continue;
      attach(context, other.slot, *other.session);
      prefetch_downstream(*other.session);
      context.lane = Lane::kDownstreamIpv4;
    } else {
      if (hop.kind == NextHopKind::kUnreachable) {
        refuse(stage, context, DropReason::no_route,
               {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeNetUnreachable, 0},
               octets_of(packet));
        continue;
      }
      // The kernel has no route back to a subscriber: a ping to the server's own addresses is
      // answered here too, the rest is the twin's.
      if (hop.kind == NextHopKind::kLocal && from != nullptr && answer(stage, packet, context))
        continue;
      if (hop.kind != NextHopKind::kLocal && !pay_ttl(stage, packet, context)) continue;
      send_to_next_hop(stage, packet, hop, context.destination);
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

}  // namespace pns::dataplane
