// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/classify.hpp"

#include <rte_prefetch.h>

#include <array>

#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/neighbour_answer.hpp"
#include "dataplane/pipeline/networks.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/gre.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

// Group frames and ARP from the core. Without a twin, the XDP program takes only what asks for an
// address of the pools.
void take_core_frame(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  if (answer_neighbour(stage, packet, context)) return;
  if (stage.broadcasts != nullptr) relay_from_lan(stage, octets_of(packet));
  punt_to_kernel(stage, packet, context, PortRole::kCore, DropReason::pool_address_unused);
}

// IPv6 from the core. Group traffic (Neighbor Discovery, Router Advertisements) is the kernel's.
void classify_ipv6(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const Bytes inner = Bytes(octets_of(packet)).subspan(wire::kEthernetHeaderSize);
  const auto header = wire::parse_ipv6(inner);
  if (!header) return drop(context, header.error());
  // A host asks again for an address that it knows (RFC 4861 §7.3.3).
  if (header->hop_limit == wire::kDiscoveryHopLimit && answer_neighbour(stage, packet, context))
    return;
  const FoundSession found = stage.sessions.find_by_prefix(header->destination.high);
  if (!found) return take_no_subscriber(stage, packet, context, header->destination);
  if (wire::is_unforwardable(header->source)) return drop(context, DropReason::inner_scope);
  narrow(packet, wire::kEthernetHeaderSize, header->total_length());
  attach(context, found.slot, *found.session);
  context.lane = Lane::kDownstreamIpv6;
}

// Where the record of a packet's session is looked up.
struct Lookup {
  const SessionTable::Entry* entry;
  bool with_ack;  // the packet acknowledges something we sent
  bool foreign;   // the record is another worker's; of a core port's packet once it is read
};

// Checks a frame, and asks for what leads on from its headers.
[[gnu::always_inline]] inline void check_frame(StageContext& stage, rte_mbuf* packet, PortRole port,
                                               Lookup& lookup) noexcept {
  lookup = {&SessionTable::kNowhere, false, false};
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
    if (port == PortRole::kCore) return take_core_frame(stage, packet, context);
    return punt_to_kernel(stage, packet, context, port, DropReason::not_ip);
  }

  const Bytes ip = frame.subspan(wire::kEthernetHeaderSize);
  if (const DropReason why = wire::check_ipv4(ip); why != DropReason::kNone)
    return drop(context, why);
  const wire::Ipv4Header header = wire::read_ipv4(ip);
  if (port == PortRole::kCore) {
    lookup.entry = stage.sessions.entry_of(header.destination);
    rte_prefetch0(lookup.entry);
    context.destination = header.destination;
    context.inner_length = header.total_length;
    context.lane = Lane::kSubscriber;
    return;
  }
  const auto payload_at =
      static_cast<std::uint16_t>(wire::kEthernetHeaderSize + header.header_length);
  const std::size_t local = header.protocol == wire::kIpProtocolGre
                                ? stage.sessions.local_index(header.destination)
                                : SessionTable::kMaxLocalAddresses;
  if (local == SessionTable::kMaxLocalAddresses)
    return punt_to_kernel(stage, packet, context, port, DropReason::not_ip);
  narrow(packet, 0, wire::kEthernetHeaderSize + header.total_length);  // padding goes
  if (header.is_fragment()) {
    if (!stage.reassembly.enabled()) return drop(context, DropReason::outer_fragment);
    context.lane = Lane::kFragment;
    return;
  }
  context.source = header.source;
  context.destination = header.destination;
  context.payload_at = payload_at;
  context.local = static_cast<std::uint8_t>(local);
  context.outer_length = header.total_length;
  context.lane = Lane::kGre;
  if (header.total_length < header.header_length + wire::kGreMinimumSize) return;
  const Bytes gre = frame.subspan(payload_at);
  const OurCallId call(wire::call_id_of(gre));
  lookup = {stage.sessions.entry_of(local, call), wire::has_ack(gre),
            stage.sessions.owner(call) != stage.self};
  rte_prefetch0(lookup.entry);
}

using Lookups = std::array<Lookup, Burst::kReceive>;

// Follows the lookups to the records; gre_in() and ipv4_out() judge what was found. A step for
// all packets before the next, and as little as can be between what may miss the TLB: the CPU goes
// no further than its reorder buffer while pages are looked up.
void find_records(const Burst& burst, Lookups& lookups, PortRole port,
                  StageContext& stage) noexcept {
  std::array<std::uint32_t, Burst::kReceive> entries;
  for (std::size_t i = 0; i < burst.count; ++i) entries[i] = SessionTable::read(lookups[i].entry);
  if (port == PortRole::kCore)
    for (std::size_t i = 0; i < burst.count; ++i)
      lookups[i].foreign = stage.sessions.owner_of(entries[i]) != stage.self;
  for (std::size_t i = 0; i < burst.count; ++i) {
    const FoundSession found = stage.sessions.at(entries[i]);
    if (!found || lookups[i].foreign) continue;
    if (port == PortRole::kAccess) {
      prefetch_upstream(*found.session);
      // Without a branch that nobody can predict.
      const void* const upstream = &found.session->upstream;
      rte_prefetch0(lookups[i].with_ack ? &found.session->downstream : upstream);
    } else {
      prefetch_downstream(*found.session);
    }
  }
  for (std::size_t i = 0; i < burst.count; ++i) {
    PacketContext& context = context_of(burst.packets[i]);
    if (entries[i] == 0) {
      if (context.lane == Lane::kSubscriber)
        take_no_subscriber(stage, burst.packets[i], context, context.destination);
      continue;
    }
    const FoundSession found = stage.sessions.at(entries[i]);
    context.slot = found.slot;  // of a foreign record too: its owner can ask for it early
    if (!lookups[i].foreign) {
      context.session = found.session;
    } else if (context.lane == Lane::kSubscriber) {
      context.lane = Lane::kHandOver;
      context.resume = Lane::kSubscriber;
      context.worker = stage.sessions.owner_of(entries[i]);
    }
  }
}

}  // namespace

PortRole port_of_frame(const StageContext& stage, Bytes frame) noexcept {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return PortRole::kAccess;
  const std::uint16_t type = ethernet->type.host();
  if (type == wire::kEtherTypeArp) return PortRole::kCore;
  const auto core_if = [](bool is_for_core) {
    return is_for_core ? PortRole::kCore : PortRole::kAccess;
  };
  if (wire::is_multicast(ethernet->destination))
    return core_if(type == wire::kEtherTypeIpv6 ||
                   (stage.broadcasts != nullptr && is_lan_broadcast(stage, frame)));
  const NextHops& inner = stage.routing.inner;
  const Bytes packet = frame.subspan(wire::kEthernetHeaderSize);
  if (type == wire::kEtherTypeIpv4) {
    const auto header = wire::parse_ipv4(packet);
    if (!header ||
        (header->protocol == wire::kIpProtocolGre &&
         stage.sessions.local_index(header->destination) != SessionTable::kMaxLocalAddresses))
      return PortRole::kAccess;
    return core_if(inner.get(inner.lookup(header->destination)).asks_sessions());
  }
  if (type == wire::kEtherTypeIpv6)
    if (const auto header = wire::parse_ipv6(packet))
      return core_if(inner.get(inner.lookup(header->destination)).asks_sessions());
  return PortRole::kAccess;
}

ForSubscriber subscriber_of_packet(const SessionTable& sessions, const NextHops& inner,
                                   Bytes packet) noexcept {
  if (const auto header = wire::parse_ipv4(packet)) {
    const FoundSession own = sessions.find_by_address(header->destination);
    return {own ? own : session_behind(sessions, inner, header->destination),
            Lane::kDownstreamIpv4};
  }
  if (const auto header = wire::parse_ipv6(packet)) {
    const FoundSession own = sessions.find_by_prefix(header->destination.high);
    return {own ? own : session_behind(sessions, inner, header->destination),
            Lane::kDownstreamIpv6};
  }
  return {};
}

ForSubscriber subscriber_of(const SessionTable& sessions, const NextHops& inner,
                            Bytes frame) noexcept {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return {};
  const std::uint16_t type = ethernet->type.host();
  const ForSubscriber found =
      subscriber_of_packet(sessions, inner, frame.subspan(wire::kEthernetHeaderSize));
  const std::uint16_t wanted =
      found.lane == Lane::kDownstreamIpv4 ? wire::kEtherTypeIpv4 : wire::kEtherTypeIpv6;
  return type == wanted ? found : ForSubscriber{};
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
    Lookup lookup;
    check_frame(stage, packet, port, lookup);
  }
  burst.compact();
  stage.counters.consumed.add(merged);
  stage.counters.drops[static_cast<std::size_t>(DropReason::outer_fragment)].add(
      stage.reassembly.expire(stage.now_ns));
}

}  // namespace

void classify(Burst& burst, PortRole port, StageContext& stage) noexcept {
  Lookups lookups;
  bool fragments = false;
  for (std::size_t i = 0; i < burst.count; ++i) {
    check_frame(stage, burst.packets[i], port, lookups[i]);
    fragments |= context_of(burst.packets[i]).lane == Lane::kFragment;
  }
  find_records(burst, lookups, port, stage);
  if (fragments) reassemble(burst, port, stage);
}

}  // namespace pns::dataplane
