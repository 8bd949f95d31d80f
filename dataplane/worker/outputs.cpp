// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/outputs.hpp"

#include <rte_branch_prediction.h>

#include <array>

#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/worker/rings.hpp"

namespace pns::dataplane {

using contract::PortRole;

namespace {

// Moves the packets of the first one's `key` into the list, in order; the others close up to the
// front. Result: how many are left.
template <class Key>
std::size_t take_group(std::span<rte_mbuf*> packets, Key key, PacketList& group) noexcept {
  const auto first = key(packets.front());
  std::size_t left = 0;
  for (rte_mbuf* packet : packets) {
    if (key(packet) == first)
      group.add(packet);
    else
      packets[left++] = packet;
  }
  return left;
}

}  // namespace

struct Outputs::Fates {
  std::array<PacketList, contract::kPorts> sent;        // by PortRole
  std::array<PacketList, contract::kPorts> punted;      // likewise
  std::array<PacketList, contract::kPorts> unresolved;  // likewise
  PacketList control;
  PacketList handed;
  PacketList freed;
  unsigned consumed = 0;  // of the freed ones
};

void Outputs::transmit(PortRole role, std::span<rte_mbuf*> packets) noexcept {
  contract::PortCounters& counters = counters_.ports[port_index(role)];
  if (const VlanTags& tags = config_.ports[port_index(role)].vlan; tags.count != 0) [[unlikely]]
    packets = tag(tags, packets);
  std::uint64_t octets = 0;
  for (const rte_mbuf* packet : packets) octets += packet->pkt_len;
  const std::uint16_t sent = config_.ports[port_index(role)].tx_queue.tx_burst(packets);
  const auto left = packets.subspan(sent);
  if (unlikely(!left.empty())) {
    for (const rte_mbuf* packet : left) octets -= packet->pkt_len;
    count_drops(counters_, DropReason::tx_full, left.size());
    rte_pktmbuf_free_bulk(left.data(), static_cast<unsigned>(left.size()));
  }
  counters.tx_packets.add(sent);
  counters.tx_bytes.add(octets);
}

std::span<rte_mbuf*> Outputs::tag(const VlanTags& tags, std::span<rte_mbuf*> packets) noexcept {
  std::size_t tagged = 0;
  for (rte_mbuf* packet : packets) {
    if (insert_tags(packet, tags)) {
      packets[tagged++] = packet;
    } else {
      count_drops(counters_, DropReason::no_headroom, 1);
      rte_pktmbuf_free(packet);
    }
  }
  return packets.first(tagged);
}

std::size_t Outputs::push(rte_ring* ring, Doorbell* doorbell, std::span<rte_mbuf*> packets,
                          DropReason otherwise) noexcept {
  const auto wanted = static_cast<unsigned>(packets.size());
  const unsigned pushed = ring == nullptr ? 0
                                          : rte_ring_sp_enqueue_burst(
                                                ring, as_objects(packets.data()), wanted, nullptr);
  if (pushed != 0 && doorbell != nullptr) doorbell->ring();
  if (unlikely(pushed != wanted)) {
    count_drops(counters_, otherwise, wanted - pushed);
    rte_pktmbuf_free_bulk(packets.data() + pushed, wanted - pushed);
  }
  return pushed;
}

void Outputs::hand_over(std::span<rte_mbuf*> packets) noexcept {
  while (!packets.empty()) {
    const WorkerId owner = context_of(packets.front()).worker;
    // All packets that are handed over in one burst came from one port.
    const std::size_t port = port_index(context_of(packets.front()).port);
    PacketList mine;
    const std::size_t left = take_group(
        packets, [](rte_mbuf* packet) { return context_of(packet).worker.value; }, mine);
    const bool known = owner.value < config_.worker_count;
    const std::size_t pushed = push(known ? config_.handover_out[owner.value] : nullptr,
                                    known ? config_.worker_doorbells[owner.value] : nullptr,
                                    mine.span(), DropReason::handover_full);
    counters_.handed_out.add(pushed);
    counters_.ports[port].handed_out.add(pushed);
    packets = packets.first(left);
  }
}

void Outputs::punt(PortRole role, std::span<rte_mbuf*> packets) noexcept {
  const WorkerConfig::Port& port = config_.ports[port_index(role)];
  while (!packets.empty()) {
    const auto punt_class = static_cast<std::size_t>(context_of(packets.front()).punt_class);
    PacketList mine;
    packets = packets.first(take_group(
        packets, [](rte_mbuf* packet) { return context_of(packet).punt_class; }, mine));
    const std::size_t pushed =
        push(port.punt[punt_class].ring, port.twin_doorbell, mine.span(), DropReason::punt_full);
    counters_.ports[port_index(role)].punted.add(pushed);
    counters_.punt_classes[punt_class].passed.add(pushed);
  }
}

void Outputs::resolve(PortRole role, std::span<rte_mbuf*> packets) noexcept {
  const auto ring_of = [](rte_mbuf* packet) {
    return (context_of(packet).flags & kPacketForGateway) != 0 ? MainRing::kGateways
                                                               : MainRing::kNeighbours;
  };
  while (!packets.empty()) {
    const MainRing ring = ring_of(packets.front());
    PacketList mine;
    packets = packets.first(take_group(packets, ring_of, mine));
    counters_.ports[port_index(role)].punted.add(
        push(config_.to_main[static_cast<std::size_t>(ring)], config_.main_doorbell, mine.span(),
             DropReason::punt_full));
  }
}

// Nearly all bursts leave whole, by one port. False: this one does not.
bool Outputs::finish_at_once(Burst& burst) noexcept {
  if (burst.count == 0) return true;
  const PortRole port = context_of(burst.packets[0]).port;
  for (rte_mbuf* packet : burst.all()) {
    const PacketContext& context = context_of(packet);
    if (context.lane != Lane::kTransmit || context.port != port) return false;
  }
  transmit(port, burst.all());
  burst.count = 0;
  return true;
}

void Outputs::assign(rte_mbuf* packet, Fates& fates) noexcept {
  const PacketContext& context = context_of(packet);
  const std::size_t port = port_index(context.port);
  switch (context.lane) {
    case Lane::kTransmit:
      return fates.sent[port].add(packet);
    case Lane::kPunt:
      return fates.punted[port].add(packet);
    case Lane::kResolve:
      return fates.unresolved[port].add(packet);
    case Lane::kControl:
      return fates.control.add(packet);
    case Lane::kHandOver:
      return fates.handed.add(packet);
    case Lane::kRelay:
      if (stage_.broadcasts != nullptr && stage_.broadcasts->take(packet, stage_.now_ns)) return;
      count_drops(counters_, DropReason::broadcast_queue_full, 1);
      break;
    case Lane::kConsumed:
      ++fates.consumed;
      break;
    case Lane::kDrop:
      count_drops(counters_, context.drop, 1);
      break;
    default:  // a stage left it behind
      count_drops(counters_, DropReason::internal, 1);
      break;
  }
  fates.freed.add(packet);
}

void Outputs::carry_out(Fates& fates) noexcept {
  for (const PortRole role : kPortRoles) {
    const std::size_t port = port_index(role);
    if (fates.sent[port].count != 0) transmit(role, fates.sent[port].span());
    if (fates.punted[port].count != 0) punt(role, fates.punted[port].span());
    if (fates.unresolved[port].count != 0) resolve(role, fates.unresolved[port].span());
  }
  if (fates.control.count != 0)
    counters_.punted_control.add(push(config_.to_main[static_cast<std::size_t>(MainRing::kControl)],
                                      config_.main_doorbell, fates.control.span(),
                                      DropReason::punt_full));
  if (fates.handed.count != 0) hand_over(fates.handed.span());
  if (fates.consumed != 0) counters_.consumed.add(fates.consumed);
  if (fates.freed.count != 0) rte_pktmbuf_free_bulk(fates.freed.packets.data(), fates.freed.count);
}

void Outputs::finish(Burst& burst) noexcept {
  if (finish_at_once(burst)) return;
  Fates fates;
  for (rte_mbuf* packet : burst.all()) assign(packet, fates);
  burst.count = 0;
  carry_out(fates);
}

}  // namespace pns::dataplane
