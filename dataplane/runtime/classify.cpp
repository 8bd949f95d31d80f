// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/runtime/classify.hpp"

#include <rte_prefetch.h>

#include <utility>

#include "dataplane/session/egress.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

// Ethernet padding goes; an IPv4 packet then ends where its Total Length says.
void trim_padding(rte_mbuf* packet, std::uint16_t total_length) noexcept {
  trim(packet,
       static_cast<std::uint16_t>(packet->data_len - wire::kEthernetHeaderSize - total_length));
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

// Checks a frame, and asks for what leads on from its headers. IPv4 from the core stays kReceived:
// find_subscriber() takes it from there.
void check_frame(StageContext& stage, rte_mbuf* packet, PortRole port) noexcept {
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  context.port = port;
  if (packet->nb_segs > 1 && rte_pktmbuf_linearize(packet) != 0)
    return drop(context, DropReason::no_buffer);
  const MutableBytes frame = octets_of(packet);
  const wire::EthernetHeader* const ethernet = wire::view_ethernet(frame);
  if (ethernet == nullptr) return drop(context, DropReason::frame_truncated);
  const bool to_all = wire::is_multicast(ethernet->destination);
  if (!to_all && !wire::same_mac(ethernet->destination, stage.port(port).mac))
    return drop(context, DropReason::frame_not_for_us);
  if (to_all || ethernet->type.host() != wire::kEtherTypeIpv4) {
    if (!to_all && ethernet->type.host() == wire::kEtherTypeIpv6 && port == PortRole::kCore)
      return classify_ipv6(stage, packet, context);
    return punt_to_kernel(stage, context, port, DropReason::not_ip);
  }

  const auto header = wire::parse_ipv4(frame.subspan(wire::kEthernetHeaderSize));
  if (!header) return drop(context, header.error());
  if (port == PortRole::kCore) {
    stage.sessions.prefetch_address(header->destination);
    context.destination = header->destination;
    context.inner_length = header->total_length;
    return;
  }
  const auto payload_at =
      static_cast<std::uint16_t>(wire::kEthernetHeaderSize + header->header_length);
  const std::size_t local = header->protocol == wire::kIpProtocolGre
                                ? stage.sessions.local_index(header->destination)
                                : SessionTable::kMaxLocalAddresses;
  if (local == SessionTable::kMaxLocalAddresses)
    return punt_to_kernel(stage, context, port, DropReason::not_ip);
  trim_padding(packet, header->total_length);
  if (header->is_fragment()) {
    if (!stage.reassembly.enabled()) return drop(context, DropReason::outer_fragment);
    context.lane = Lane::kFragment;
    return;
  }
  if (frame.size() >= payload_at + wire::kGreMinimumSize)
    stage.sessions.prefetch_call(local, OurCallId(wire::call_id_of(frame.subspan(payload_at))));
  context.source = header->source;
  context.destination = header->destination;
  context.payload_at = payload_at;
  context.local = static_cast<std::uint8_t>(local);
  context.outer_length = header->total_length;
  context.lane = Lane::kGre;
}

// The record of the call that a packet is for; gre_in() judges it. A record of another worker's
// stays where it is.
void find_call(StageContext& stage, rte_mbuf* packet) noexcept {
  PacketContext& context = context_of(packet);
  if (context.lane != Lane::kGre) return;
  const Bytes gre = Bytes(octets_of(packet)).subspan(context.payload_at);
  if (gre.size() < wire::kGreMinimumSize) return;
  const OurCallId call(wire::call_id_of(gre));
  if (stage.sessions.owner(call) != stage.self) return;
  const FoundSession found = stage.sessions.find(context.local, call);
  if (!found) return;
  context.session = found.session;
  context.slot = found.slot;
  prefetch_upstream(*found.session);
}

// Asks for the record of the session that IPv4 from the core seems to be for: who it is, is known
// without a look into the record.
void guess_subscriber(StageContext& stage, rte_mbuf* packet) noexcept {
  PacketContext& context = context_of(packet);
  if (context.lane != Lane::kReceived) return;
  const FoundSession guess = stage.sessions.guess_by_address(context.destination);
  context.session = guess.session;
  context.slot = guess.slot;
  if (guess) prefetch_downstream(*guess.session);
}

void find_subscriber(StageContext& stage, rte_mbuf* packet) noexcept {
  PacketContext& context = context_of(packet);
  if (context.lane != Lane::kReceived) return;
  contract::SessionRecord* const session = std::exchange(context.session, nullptr);
  if (session == nullptr || session->subscriber != context.destination)
    return punt_to_kernel(stage, context, PortRole::kCore, DropReason::no_session);
  trim_padding(packet, context.inner_length);
  rte_pktmbuf_adj(packet, wire::kEthernetHeaderSize);
  attach(context, context.slot, *session);
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
    check_frame(stage, packet, port);
  }
  burst.compact();
  stage.counters.consumed.add(merged);
  stage.counters.drops[static_cast<std::size_t>(DropReason::outer_fragment)].add(
      stage.reassembly.expire(stage.now_ns));
}

void prefetch(Burst& burst, PortRole port) noexcept {
  const bool access = port == PortRole::kAccess;
  for (rte_mbuf* packet : burst.all()) {
    const auto* frame = rte_pktmbuf_mtod(packet, const std::byte*);
    rte_prefetch0(frame);
    // Access: the inner header. Core: where the outer ones will be written.
    rte_prefetch0(access ? frame + RTE_CACHE_LINE_SIZE : frame - RTE_CACHE_LINE_SIZE);
    rte_prefetch0(rte_mbuf_to_priv(packet));
  }
}

}  // namespace

// One step of the way to the records for all packets before the next step: the lines of each come
// while the others' are asked for.
void classify(Burst& burst, PortRole port, StageContext& stage) noexcept {
  prefetch(burst, port);
  bool fragments = false;
  for (rte_mbuf* packet : burst.all()) {
    check_frame(stage, packet, port);
    fragments |= context_of(packet).lane == Lane::kFragment;
  }
  if (port == PortRole::kAccess) {
    for (rte_mbuf* packet : burst.all()) find_call(stage, packet);
    if (fragments) reassemble(burst, port, stage);
  } else {
    for (rte_mbuf* packet : burst.all()) guess_subscriber(stage, packet);
    for (rte_mbuf* packet : burst.all()) find_subscriber(stage, packet);
  }
}

}  // namespace pns::dataplane
