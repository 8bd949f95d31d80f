// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/gre_out.hpp"

#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/flow_hash.hpp"
#include "dataplane/pipeline/fragment.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::dataplane {
namespace {

using contract::DownstreamState;
using contract::SessionRecord;
using contract::UpstreamState;

constexpr std::uint8_t kOuterTtl = 64;

// The acknowledgement that is owed goes with this packet.
void take_owed_ack(SessionRecord& session, wire::GreHeader& gre) noexcept {
  if (!session.ack_pending) return;
  UpstreamState& up = session.upstream;
  gre.has_ack = true;
  gre.ack = up.highest_sequence.load(std::memory_order_relaxed);
  store_shared(session.ack_pending, false);
  up.unacked_packets = 0;
#ifdef PNS_CONTRACT_TRIAL  // pns/contract/build_contract.hpp
  session.send_window.trial_ack_sent = static_cast<std::uint16_t>(gre.ack);
#endif
}

// True when the peer's window has room. False: the packet waits and is no longer ours, or it is
// dropped because too many do.
bool may_leave(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  DownstreamState& down = session.downstream;
  SendWindow::start(session);
  if ((context.flags & kPacketReleased) != 0 || SendWindow::open(session)) {
    SendWindow::on_sent(session, down.next_sequence, stage.now_ns);
    return true;
  }
  if (stage.send_window.hold(session, context.slot, packet, stage.now_ns)) {
    stage.counters.window_waits.add(1);
    return false;
  }
  drop_downstream(context, DropReason::window_full);
  return false;
}

// Puts GRE and IPv4 before the frame; false when it has another fate by then.
bool encapsulate(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                 wire::Ipv4Header& outer) noexcept {
  SessionRecord& session = *context.session;
  DownstreamState& down = session.downstream;
  const std::size_t payload = packet->data_len;
  if (payload == 0 && !session.ack_pending) {
    context.lane = Lane::kConsumed;
    return false;
  }
  // Asked before a sequence number is spent.
  if (rte_pktmbuf_headroom(packet) < wire::kIpv4HeaderSize + wire::kGreMaximumSize ||
      payload > UINT16_MAX - wire::kIpv4HeaderSize - wire::kGreMaximumSize) {
    drop_downstream(context, DropReason::no_headroom);
    return false;
  }
  wire::GreHeader gre;
  gre.payload_length = static_cast<std::uint16_t>(payload);
  gre.call_id = session.peer_call_id.value;
  take_owed_ack(session, gre);
  if (gre.has_ack) stage.counters.acks_sent.add(1);
  if (payload != 0) {
    gre.has_sequence = true;
    gre.sequence = down.next_sequence;
    down.next_sequence = gre.sequence + 1;
  }
  const auto added = static_cast<std::uint16_t>(wire::kIpv4HeaderSize + gre.size());
  auto* room = reinterpret_cast<std::byte*>(rte_pktmbuf_prepend(packet, added));
  outer.total_length = packet->data_len;
  outer.identification = down.ip_identification++;
  outer.time_to_live = kOuterTtl;
  outer.protocol = wire::kIpProtocolGre;
  outer.source = session.local;
  outer.destination = session.peer;
  wire::write_ipv4({room, wire::kIpv4HeaderSize}, outer);
  wire::write_gre({room + wire::kIpv4HeaderSize, gre.size()}, gre);
  return true;
}

}  // namespace

rte_mbuf* make_ack(StageContext& stage, SlotId slot, SessionRecord& session) noexcept {
  rte_mbuf* packet = rte_pktmbuf_alloc(stage.pool);
  if (packet == nullptr) return nullptr;
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  attach(context, slot, session);
  context.lane = Lane::kGreOut;
  return packet;
}

void gre_out(Burst& burst, StageContext& stage) noexcept {
  static_assert(Burst::kCapacity <= NextHops::kMaxLookup);
  std::array<std::uint32_t, Burst::kCapacity> peers;
  std::array<NextHops::Found, Burst::kCapacity> found;
  std::array<std::uint16_t, Burst::kCapacity> at;
  std::size_t count = 0;
  for (std::uint16_t i = 0; i < burst.count; ++i) {
    const PacketContext& context = context_of(burst.packets[i]);
    if (context.lane != Lane::kGreOut) continue;
    peers[count] = context.session->peer.value;
    at[count++] = i;
  }
  if (count == 0) return;
  const NextHops& routes = stage.routing.outer;
  routes.lookup(std::span(peers).first(count), std::span(found).first(count));

  std::uint64_t packets = 0;
  std::uint64_t octets = 0;
  NextHop hop;
  NextHopId hop_id;  // 0: unreachable, as `hop` is
  for (std::size_t n = 0; n < count; ++n) {
    rte_mbuf* packet = burst.packets[at[n]];
    PacketContext& context = context_of(packet);
    NextHopId id = NextHops::id_of(found[n]);
    if (NextHops::is_group(id)) [[unlikely]]
      id = routes.member(id, flow_of_gre(*context.session));
    if (id != hop_id) {
      hop_id = id;
      hop = routes.get(hop_id);
    }
    if (stage.send_window.enabled() && packet->data_len != 0 &&
        !may_leave(stage, packet, context)) {
      if (context.lane != Lane::kDrop) burst.packets[at[n]] = nullptr;
      continue;
    }
    wire::Ipv4Header outer;
    if (!encapsulate(stage, packet, context, outer)) continue;
    const std::uint16_t inner_length = context.inner_length;
    SessionRecord* const session = context.session;
    if (hop.kind == NextHopKind::kLocal) {
      drop_downstream(context, DropReason::no_route);
      continue;
    }
    const std::uint16_t mtu = stage.port(hop.port).mtu;
    if (outer.total_length > mtu) {
      const auto cut = replace_by_fragments(
          burst, stage, packet, outer, mtu,
          [&](rte_mbuf* fragment) { send_to_next_hop(stage, fragment, hop, outer.destination); });
      if (!cut) {
        drop_downstream(context, cut.error());
        continue;
      }
    } else {
      send_to_next_hop(stage, packet, hop, outer.destination);
      if (context.lane == Lane::kDrop) {
        session->downstream.drops.add(1);
        continue;
      }
    }
    DownstreamState& down = session->downstream;
    down.gre_packets.add(1);
    down.gre_bytes.add(outer.total_length);
    if (inner_length == 0) continue;
    down.packets.add(1);
    down.bytes.add(inner_length);
    ++packets;
    octets += inner_length;
  }
  if (stage.send_window.enabled()) burst.compact();
  if (packets != 0) {
    stage.counters.downstream_packets.add(packets);
    stage.counters.downstream_bytes.add(octets);
  }
}

}  // namespace pns::dataplane
