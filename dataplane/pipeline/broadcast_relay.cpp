// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/broadcast_relay.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include "pns/wire/dhcp.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/udp.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;
using contract::SessionRecord;

constexpr MacAddress kAllHosts = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

// A session: 10 broadcasts a second, 20 at once.
constexpr std::uint64_t kSessionCostNs = 100'000'000;
constexpr std::uint64_t kSessionBurstNs = 20 * kSessionCostNs;

bool is_dhcp(const wire::UdpHeader& udp) noexcept {
  const auto is_port = [](std::uint16_t port) {
    return port == wire::kDhcpServerPort || port == wire::kDhcpClientPort;
  };
  return is_port(udp.source_port) || is_port(udp.destination_port);
}

// A packet that is not made counts as made and dropped, so that the sums agree.
void count_unmade(StageContext& stage, DropReason reason) noexcept {
  stage.counters.generated.add(1);
  stage.counters.drops[static_cast<std::size_t>(reason)].add(1);
}

// A packet with these octets; null: counted.
rte_mbuf* make_packet(StageContext& stage, Bytes octets) noexcept {
  rte_mbuf* const made = packet_of(stage.pool, octets);
  if (made == nullptr) {
    count_unmade(stage, DropReason::no_buffer);
    return nullptr;
  }
  context_of(made) = PacketContext{};
  context_of(made).port = PortRole::kCore;
  return made;
}

// A template for each worker. Those for others go through the rings between workers. `network`: the
// broadcast's; `packet`: as parse_udp() has accepted it.
void distribute(StageContext& stage, Bytes packet, const wire::Ipv4Header& header,
                const Ipv4Prefix& network) noexcept {
  if (stage.deferred.count + stage.workers > Burst::kCapacity)
    return count_unmade(stage, DropReason::broadcast_queue_full);
  for (std::uint16_t worker = 0; worker < stage.workers; ++worker) {
    rte_mbuf* const made = make_packet(stage, packet.first(header.total_length));
    if (made == nullptr) return;
    // A client whose interface has no network knows no other broadcast address.
    wire::redirect_udp(octets_of(made), header, kLimitedBroadcast);
    PacketContext& context = context_of(made);
    context.source = network.network();
    context.destination = network.last();
    context.worker = WorkerId(worker);
    context.lane = context.worker == stage.self ? Lane::kRelay : Lane::kHandOver;
    context.resume = Lane::kRelay;
    (void)stage.deferred.append(made);
  }
}

struct LanBroadcast {
  Bytes packet;
  wire::Ipv4Header header;
  Ipv4Prefix network;
};

std::optional<LanBroadcast> parse_lan_broadcast(const StageContext& stage, Bytes frame) noexcept {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet || !wire::same_mac(ethernet->destination, kAllHosts) ||
      ethernet->type.host() != wire::kEtherTypeIpv4 ||
      wire::same_mac(ethernet->source, stage.ports[static_cast<std::size_t>(PortRole::kCore)].mac))
    return std::nullopt;
  const Bytes packet = frame.subspan(wire::kEthernetHeaderSize);
  const auto header = wire::parse_ipv4(packet);
  if (!header || header->protocol != wire::kIpProtocolUdp) return std::nullopt;
  const BroadcastNetworks& networks = stage.broadcasts->networks();
  const auto network = networks.find(header->source, header->destination);
  if (!network || header->source == network->network() || header->source == network->last() ||
      networks.is_own(header->source) || stage.sessions.find_by_address(header->source))
    return std::nullopt;
  return LanBroadcast{packet, *header, *network};
}

}  // namespace

BroadcastRelay::~BroadcastRelay() {
  while (!empty()) pop();
}

bool BroadcastRelay::take(rte_mbuf* packet, std::uint64_t now_ns) noexcept {
  if (count_ == kMaxWaiting) return false;
  const PacketContext& context = context_of(packet);
  ring_[(first_ + count_++) % kMaxWaiting] = {packet, wire::read_ipv4(octets_of(packet)).source,
                                              context.source.value, context.destination.value,
                                              now_ns};
  return true;
}

void BroadcastRelay::pop() noexcept {
  rte_pktmbuf_free(ring_[first_].packet);
  first_ = (first_ + 1) % kMaxWaiting;
  --count_;
}

std::uint64_t BroadcastRelay::next_due_ns() const noexcept {
  if (empty()) return UINT64_MAX;
  return std::min(ring_[first_].taken_ns + kMaxWaitNs,
                  std::max(addresses_.next_due_ns(), copies_.next_due_ns()));
}

std::uint32_t BroadcastRelay::copy(Burst& burst, StageContext& stage) noexcept {
  if (empty()) return 0;
  Waiting& oldest = ring_[first_];
  if (stage.now_ns - oldest.taken_ns >= kMaxWaitNs) {
    stage.counters.drops[static_cast<std::size_t>(DropReason::broadcast_late)].add(1);
    pop();
    return 1;
  }
  if (std::max(addresses_.next_due_ns(), copies_.next_due_ns()) > stage.now_ns) return 0;
  const std::uint32_t looked = walk(oldest, burst, stage);
  addresses_.spend(looked, stage.now_ns);
  if (oldest.next > oldest.last) {
    stage.counters.consumed.add(1);
    pop();
  }
  return looked;
}

// The index says whose sessions these are, so that records of others are not touched.
std::uint32_t BroadcastRelay::walk(Waiting& waiting, Burst& burst, StageContext& stage) noexcept {
  struct Candidate {
    FoundSession found;
    Ipv4Address address;
  };
  std::array<Candidate, Burst::kReceive> candidates;
  std::size_t count = 0;
  std::uint32_t looked = 0;
  bool more = true;
  while (more && waiting.next <= waiting.last && looked < kSliceAddresses) {
    const Ipv4Address from(static_cast<std::uint32_t>(waiting.next));
    const auto entries = stage.sessions.entries_from(from);
    if (entries.empty()) {
      waiting.next = SessionTable::next_leaf(from);
      ++looked;
      continue;
    }
    const std::size_t room = std::min<std::uint64_t>(
        {entries.size(), waiting.last - waiting.next + 1, kSliceAddresses - looked});
    for (const SessionTable::Entry& place : entries.first(room)) {
      const std::uint32_t entry = SessionTable::read(&place);
      const Ipv4Address address(static_cast<std::uint32_t>(waiting.next));
      if (entry != 0 && stage.sessions.owner_of(entry) == stage.self && address != waiting.source) {
        more = count < candidates.size() && copies_.admit_one(stage.now_ns);
        if (!more) break;
        candidates[count] = {stage.sessions.at(entry), address};
        prefetch_downstream(*candidates[count++].found.session);
      }
      ++waiting.next;
      ++looked;
    }
  }
  for (const auto& [found, address] : std::span(candidates).first(count)) {
    if (load_shared(found.session->subscriber) != address) continue;
    rte_mbuf* const made = make_packet(stage, octets_of(waiting.packet));
    if (made == nullptr) continue;
    PacketContext& context = context_of(made);
    attach(context, found.slot, *found.session);
    context.flags = kPacketTtlDone | kPacketNoIcmp;
    context.lane = Lane::kDownstreamIpv4;
    (void)burst.append(made);
    stage.counters.generated.add(1);
    stage.counters.broadcast_copies.add(1);
  }
  return looked;
}

void relay_from_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                           const wire::Ipv4Header& header) noexcept {
  SessionRecord& session = *context.session;
  BroadcastRelay& relay = *stage.broadcasts;
  const MutableBytes octets = octets_of(packet);
  const auto udp = wire::parse_udp(octets, header);
  const auto network = relay.networks().find(header.source, header.destination);
  if (!udp || is_dhcp(*udp) || !network || header.source != session.subscriber ||
      header.total_length > stage.port(PortRole::kCore).mtu)
    return drop_upstream(context, DropReason::broadcast_refused);
  if (!admit(extension_of(stage, context).broadcast_spent_ns, stage.now_ns, kSessionCostNs,
             kSessionBurstNs) ||
      !relay.from_subscribers.admit_one(stage.now_ns))
    return drop_upstream(context, DropReason::broadcast_limited);
  distribute(stage, octets, header, *network);
  char* const room = rte_pktmbuf_prepend(packet, wire::kEthernetHeaderSize);
  if (room == nullptr) return drop_upstream(context, DropReason::no_headroom);
  wire::write_ethernet(
      {reinterpret_cast<std::byte*>(room), wire::kEthernetHeaderSize},
      {kAllHosts, stage.port(PortRole::kCore).mac, be16::from_host(wire::kEtherTypeIpv4)});
  session.upstream.packets.add(1);
  session.upstream.bytes.add(header.total_length);
  stage.counters.upstream_packets.add(1);
  stage.counters.upstream_bytes.add(header.total_length);
  stage.counters.broadcasts_up.add(1);
  context.port = PortRole::kCore;
  context.lane = Lane::kTransmit;
}

bool is_lan_broadcast(const StageContext& stage, Bytes frame) noexcept {
  return parse_lan_broadcast(stage, frame).has_value();
}

void relay_from_lan(StageContext& stage, Bytes frame) noexcept {
  const auto found = parse_lan_broadcast(stage, frame);
  if (!found) return;
  const auto udp = wire::parse_udp(found->packet, found->header);
  if (!udp) return count_unmade(stage, DropReason::broadcast_refused);
  if (is_dhcp(*udp)) return;
  if (!stage.broadcasts->from_lan.admit_one(stage.now_ns))
    return count_unmade(stage, DropReason::broadcast_limited);
  stage.counters.broadcasts_down.add(1);
  distribute(stage, found->packet, found->header, found->network);
}

}  // namespace pns::dataplane
