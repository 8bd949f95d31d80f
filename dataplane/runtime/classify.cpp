// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/runtime/classify.hpp"

#include <rte_prefetch.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/session/egress.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

// Ethernet padding goes; an IPv4 packet then ends where its Total Length says.
void trim_padding(rte_mbuf* packet, const wire::Ipv4Header& header) noexcept {
  trim(packet, static_cast<std::uint16_t>(packet->data_len - wire::kEthernetHeaderSize -
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
  trim(packet, static_cast<std::uint16_t>(inner.size() - header->total_length()));
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
  const wire::EthernetHeader* const ethernet = wire::view_ethernet(frame);
  if (ethernet == nullptr) return drop(context, DropReason::frame_truncated);
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

// What a frame seems to be for, unchecked, so that what leads there is fetched before its turn.
struct Hint {
  Ipv4Address destination;  // IPv4; unspecified: something else
  OurCallId call;           // access port
};

Hint hint_of(rte_mbuf* packet, PortRole port) noexcept {
  const Bytes frame = octets_of(packet);
  constexpr std::size_t kDestinationAt = 16;  // in IPv4
  constexpr std::size_t kCallIdAt = 6;        // in GRE
  constexpr std::size_t kShortest =
      wire::kEthernetHeaderSize + wire::kIpv4HeaderSize + kCallIdAt + sizeof(be16);
  if (frame.size() < kShortest) return {};
  if (wire::view_ethernet(frame)->type.host() != wire::kEtherTypeIpv4) return {};
  const Bytes inside = frame.subspan(wire::kEthernetHeaderSize);
  be32 destination;
  std::memcpy(&destination, inside.data() + kDestinationAt, sizeof(destination));
  Hint hint{Ipv4Address(destination), {}};
  if (port == PortRole::kAccess) {
    be16 call;  // where it lies without IPv4 options
    std::memcpy(&call, inside.data() + wire::kIpv4HeaderSize + kCallIdAt, sizeof(call));
    hint.call = OurCallId(call.host());
  }
  return hint;
}

// Asks for everything that the stages will wait for, one step of the way for all packets before the
// next step: frames, entries of the indexes, records. A record of another worker's stays where it
// is, as far as that is known.
void prefetch(Burst& burst, PortRole port, const StageContext& stage) noexcept {
  const bool access = port == PortRole::kAccess;
  for (rte_mbuf* packet : burst.all()) {
    const auto* frame = rte_pktmbuf_mtod(packet, const std::byte*);
    rte_prefetch0(frame);
    // Access: the inner header. Core: where the outer ones will be written.
    rte_prefetch0(access ? frame + RTE_CACHE_LINE_SIZE : frame - RTE_CACHE_LINE_SIZE);
    rte_prefetch0(rte_mbuf_to_priv(packet));
  }
  const SessionTable& sessions = stage.sessions;
  std::array<Hint, Burst::kReceive> hints;
  const std::size_t count = std::min<std::size_t>(burst.count, hints.size());
  for (std::size_t i = 0; i < count; ++i) {
    hints[i] = hint_of(burst.packets[i], port);
    if (access)
      sessions.prefetch_call(hints[i].destination, hints[i].call);
    else
      sessions.prefetch_address(hints[i].destination);
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Hint& hint = hints[i];
    if (access) {
      if (sessions.owner(hint.call) != stage.self) continue;
      const FoundSession found = sessions.find(hint.destination, hint.call);
      if (found) prefetch_upstream(*found.session);
    } else if (const auto* session = sessions.guess_by_address(hint.destination)) {
      prefetch_downstream(*session);
    }
  }
}

}  // namespace

void classify(Burst& burst, PortRole port, StageContext& stage) noexcept {
  prefetch(burst, port, stage);
  bool fragments = false;
  for (rte_mbuf* packet : burst.all()) {
    classify_one(stage, packet, port);
    fragments |= context_of(packet).lane == Lane::kFragment;
  }
  if (fragments) reassemble(burst, port, stage);
}

}  // namespace pns::dataplane
