// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/egress.hpp"

#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint64_t kIcmpCostNs = 10'000'000;
constexpr std::uint64_t kIcmpBurstNs = 20 * kIcmpCostNs;

bool prepend_ethernet(rte_mbuf* packet, const MacAddress& destination,
                      const MacAddress& source) noexcept {
  char* room = rte_pktmbuf_prepend(packet, wire::kEthernetHeaderSize);
  if (room == nullptr) return false;
  wire::write_ethernet({reinterpret_cast<std::byte*>(room), wire::kEthernetHeaderSize},
                       {destination, source, be16::from_host(wire::kEtherTypeIpv4)});
  return true;
}

}  // namespace

void punt_to_kernel(StageContext& stage, PacketContext& context, contract::PortRole port,
                    DropReason otherwise) noexcept {
  PortSettings& settings = stage.port(port);
  if (!settings.has_twin) return drop(context, otherwise);
  if (!settings.punt.admit_one(stage.now_ns)) return drop(context, DropReason::punt_policed);
  context.port = port;
  context.lane = Lane::kPunt;
}

void send_to_next_hop(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                      Ipv4Address destination) noexcept {
  PacketContext& context = context_of(packet);
  const MacAddress& our_mac = stage.port(hop.port).mac;
  bool written = false;
  switch (hop.kind) {
    case NextHopKind::kResolved:
      written = prepend_ethernet(packet, hop.destination, hop.source);
      context.lane = Lane::kTransmit;
      break;
    case NextHopKind::kGlean:
      if (!stage.resolve.admit_one(stage.now_ns))
        return drop(context, DropReason::next_hop_unresolved);
      written = prepend_ethernet(packet, MacAddress{}, hop.source);
      context.next_hop = hop.gateway.is_unspecified() ? destination : hop.gateway;
      context.lane = Lane::kResolve;
      break;
    case NextHopKind::kLocal:
      punt_to_kernel(stage, context, hop.port, DropReason::no_route);
      if (context.lane != Lane::kPunt) return;
      written = prepend_ethernet(packet, our_mac, our_mac);
      break;
    case NextHopKind::kUnreachable:
    default:
      return drop(context, DropReason::no_route);
  }
  context.port = hop.port;
  if (!written) drop(context, DropReason::no_headroom);
}

bool send_icmp_error(StageContext& stage, contract::SessionRecord& session,
                     const PacketContext& context, const wire::IcmpError& error,
                     const wire::Ipv4Header& header, Bytes packet) noexcept {
  if ((context.flags & kPacketNoIcmp) != 0 || stage.icmp_source.is_unspecified() ||
      stage.deferred.full() || !wire::may_cause_icmp_error(header, packet))
    return false;
  if (!admit(session.downstream.icmp_tokens_ns, stage.now_ns, kIcmpCostNs, kIcmpBurstNs))
    return false;
  rte_mbuf* report = rte_pktmbuf_alloc(stage.pool);
  if (report == nullptr) return false;
  const std::size_t length =
      wire::write_icmp_error({rte_pktmbuf_mtod(report, std::byte*), rte_pktmbuf_tailroom(report)},
                             error, stage.icmp_source, header, packet);
  if (length == 0) {
    rte_pktmbuf_free(report);
    return false;
  }
  report->data_len = static_cast<std::uint16_t>(length);
  report->pkt_len = static_cast<std::uint32_t>(length);
  PacketContext& made = context_of(report);
  made = PacketContext{};
  made.lane = Lane::kForward;
  made.flags = kPacketTtlDone | kPacketNoIcmp;
  made.destination = header.source;
  return stage.deferred.append(report);
}

}  // namespace pns::dataplane
