// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/runtime/classify.hpp"

#include <rte_prefetch.h>

#include "dataplane/session/egress.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

// Ethernet padding goes; an IPv4 packet then ends where its Total Length says.
void trim_padding(rte_mbuf* packet, const wire::Ipv4Header& header) noexcept {
  rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(packet->data_len - wire::kEthernetHeaderSize -
                                                      header.total_length));
}

// IPv6 from the core. Group traffic (Neighbor Discovery, Router Advertisements) is the kernel's.
void classify_ipv6(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const Bytes inner = Bytes(octets_of(packet)).subspan(wire::kEthernetHeaderSize);
  const auto header = wire::parse_ipv6(inner);
  if (!header) return drop(context, header.error());
  const FoundSession found = stage.sessions.find_by_prefix(header->destination.high);
  if (!found) return punt_to_kernel(stage, context, context.port, DropReason::no_session);
  if (wire::is_unforwardable(header->source)) return drop(context, DropReason::inner_scope);
  rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(inner.size() - header->total_length()));
  rte_pktmbuf_adj(packet, wire::kEthernetHeaderSize);
  attach(context, found.slot, *found.session);
  context.lane = Lane::kDownstreamIpv6;
}

void classify_one(StageContext& stage, rte_mbuf* packet, PortRole port) noexcept {
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  context.port = port;
  if (packet->nb_segs > 1 && rte_pktmbuf_linearize(packet) != 0)
    return drop(context, DropReason::no_buffer);
  const MutableBytes frame = octets_of(packet);
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return drop(context, ethernet.error());
  const bool to_all = wire::is_multicast(ethernet->destination);
  if (!to_all && ethernet->destination != stage.port(port).mac)
    return drop(context, DropReason::frame_not_for_us);
  if (to_all || ethernet->type.host() != wire::kEtherTypeIpv4) {
    if (!to_all && ethernet->type.host() == wire::kEtherTypeIpv6 && port == PortRole::kCore)
      return classify_ipv6(stage, packet, context);
    return punt_to_kernel(stage, context, port, DropReason::not_ip);
  }

  const auto header = wire::parse_ipv4(frame.subspan(wire::kEthernetHeaderSize));
  if (!header) return drop(context, header.error());
  if (port == PortRole::kAccess) {
    if (header->protocol != wire::kIpProtocolGre || !stage.sessions.is_local(header->destination))
      return punt_to_kernel(stage, context, port, DropReason::not_ip);
    trim_padding(packet, *header);
    if (header->is_fragment()) {
      if (!stage.reassembly.enabled()) return drop(context, DropReason::outer_fragment);
      context.lane = Lane::kFragment;
      return;
    }
    context.source = header->source;
    context.destination = header->destination;
    context.payload_at =
        static_cast<std::uint16_t>(wire::kEthernetHeaderSize + header->header_length);
    context.outer_length = header->total_length;
    context.lane = Lane::kGre;
    return;
  }
  const FoundSession found = stage.sessions.find_by_address(header->destination);
  if (!found) return punt_to_kernel(stage, context, port, DropReason::no_session);
  trim_padding(packet, *header);
  rte_pktmbuf_adj(packet, wire::kEthernetHeaderSize);
  attach(context, found.slot, *found.session);
  context.lane = Lane::kDownstream;
}

}  // namespace

ForSubscriber subscriber_of(StageContext& stage, Bytes frame) noexcept {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return {};
  const Bytes packet = frame.subspan(wire::kEthernetHeaderSize);
  if (ethernet->type.host() == wire::kEtherTypeIpv4) {
    const auto header = wire::parse_ipv4(packet);
    if (!header) return {};
    return {stage.sessions.find_by_address(header->destination), Lane::kDownstream};
  }
  if (ethernet->type.host() == wire::kEtherTypeIpv6) {
    const auto header = wire::parse_ipv6(packet);
    if (!header) return {};
    return {stage.sessions.find_by_prefix(header->destination.high), Lane::kDownstreamIpv6};
  }
  return {};
}

namespace {

// Fragments leave the burst; a packet that is whole now takes the place of its last one.
void reassemble(Burst& burst, PortRole port, StageContext& stage) noexcept {
  std::uint64_t merged = 0;
  for (rte_mbuf*& packet : burst.all()) {
    if (context_of(packet).lane != Lane::kFragment) continue;
    packet = stage.reassembly.add(packet, stage.now_ns, merged);
    if (packet == nullptr) continue;
    stage.counters.reassembled.add(1);
    classify_one(stage, packet, port);
  }
  burst.compact();
  stage.counters.consumed.add(merged);
  stage.counters.drops[static_cast<std::size_t>(DropReason::outer_fragment)].add(
      stage.reassembly.expire(stage.now_ns));
}

}  // namespace

void classify(Burst& burst, PortRole port, StageContext& stage) noexcept {
  constexpr std::uint16_t kAhead = 4;
  const std::uint16_t count = burst.count;
  bool fragments = false;
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + kAhead < count) {
      rte_prefetch0(rte_pktmbuf_mtod(burst.packets[i + kAhead], void*));
      rte_prefetch0(rte_mbuf_to_priv(burst.packets[i + kAhead]));
    }
    classify_one(stage, burst.packets[i], port);
    fragments |= context_of(burst.packets[i]).lane == Lane::kFragment;
  }
  if (fragments) reassemble(burst, port, stage);
}

}  // namespace pns::dataplane
