// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/local_delivery.hpp"

#include "dataplane/routing/next_hops.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/ipv4.hpp"

namespace pns::dataplane {
namespace {

// Frames to the control process: 200 a second, 100 at once, per session.
constexpr std::uint64_t kPuntCostNs = 5'000'000;
constexpr std::uint64_t kPuntBurstNs = 100 * kPuntCostNs;

// Packets to services of the host: 10,000 a second, 256 at once, per session.
constexpr std::uint64_t kServiceCostNs = 100'000;
constexpr std::uint64_t kServiceBurstNs = 256 * kServiceCostNs;

bool may_use_services(StageContext& stage, const PacketContext& context) noexcept {
  if (context.session != nullptr && !admit(extension_of(stage, context).service_spent_ns,
                                           stage.now_ns, kServiceCostNs, kServiceBurstNs))
    return false;
  return stage.port(contract::PortRole::kCore)
      .punt[static_cast<std::size_t>(PuntClass::service)]
      .admit_one(stage.now_ns);
}

}  // namespace

void punt_to_control(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     std::uint16_t protocol, std::size_t taken) noexcept {
  if (!stage.control_attached) return drop_upstream(context, DropReason::punt_no_control);
  constexpr std::uint32_t kOpen = contract::kFlagIpv4Open | contract::kFlagIpv6Open;
  const bool open = (context.session->flags.load(std::memory_order_relaxed) & kOpen) != 0;
  EventBucket& share = open ? stage.control_of_open : stage.control_of_setups;
  if (!admit(context.session->upstream.punt_spent_ns, stage.now_ns, kPuntCostNs, kPuntBurstNs) ||
      !share.admit_one(stage.now_ns))
    return drop_upstream(context, DropReason::punt_policed);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(taken));
  char* room = rte_pktmbuf_prepend(packet, 2);
  if (room == nullptr) return drop_upstream(context, DropReason::no_headroom);
  wire::PppHeader full;
  full.protocol = protocol;
  full.protocol_size = 2;
  wire::write_ppp({reinterpret_cast<std::byte*>(room), 2}, full);
  context.ppp_protocol = protocol;
  context.lane = Lane::kControl;
}

void refuse_network_data(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                         std::uint32_t session_flags, const wire::PppHeader& header) noexcept {
  if (header.is(wire::PppProtocol::kIpv4) || (session_flags & contract::kFlagLcpOpen) == 0)
    return drop_upstream(context, DropReason::network_not_open);
  const std::size_t kept = header.size() + kRejectedOctets - 2;
  if (packet->data_len > kept) narrow(packet, 0, kept);
  punt_to_control(stage, packet, context, header.protocol, header.size());
}

DropReason inner_reason(DropReason outer) noexcept {
  switch (outer) {
    case DropReason::frame_truncated:
      return DropReason::inner_truncated;
    case DropReason::ip_version:
      return DropReason::inner_version;
    default:
      return DropReason::inner_header;
  }
}

bool answer_ping(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const MutableBytes data = octets_of(packet);
  if (!wire::answer_echo(data, wire::read_ipv4(data))) return false;
  send_back(stage, context, Lane::kDownstreamIpv4);
  return true;
}

bool is_local(const StageContext& stage, Ipv4Address address) noexcept {
  const NextHops& routes = stage.routing.inner;
  return routes.get(routes.lookup(address)).kind == NextHopKind::kLocal;
}

bool send_to_host(StageContext& stage, PacketContext& context) noexcept {
  constexpr auto kClass = static_cast<std::size_t>(PuntClass::service);
  if (!stage.port(contract::PortRole::kCore).has_services) return false;
  if (!may_use_services(stage, context)) {
    stage.counters.punt_classes[kClass].policed.add(1);
    drop(context, DropReason::punt_policed);
    return true;
  }
  context.port = contract::PortRole::kCore;
  context.punt_class = PuntClass::service;
  context.lane = Lane::kPunt;
  return true;
}

void send_back(StageContext& stage, PacketContext& context, Lane lane) noexcept {
  contract::UpstreamState& books = context.session->upstream;
  books.packets.add(1);
  books.bytes.add(context.inner_length);
  stage.counters.upstream_packets.add(1);
  stage.counters.upstream_bytes.add(context.inner_length);
  context.flags |= kPacketTtlDone | kPacketNoIcmp;
  context.lane = lane;
}

}  // namespace pns::dataplane
