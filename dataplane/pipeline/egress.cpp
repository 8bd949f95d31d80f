// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/egress.hpp"

#include <type_traits>

#include "dataplane/pipeline/networks.hpp"
#include "dataplane/pipeline/punt_class.hpp"
#include "dataplane/routing/mapped_address.hpp"
#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {
namespace {

constexpr std::uint64_t kIcmpCostNs = 10'000'000;
constexpr std::uint64_t kIcmpBurstNs = 20 * kIcmpCostNs;

// Packets of one session for neighbours without a known MAC address: 4 a second, 16 at once. Main
// asks for a neighbour once a second and gives up after 6 s, so that one session keeps at most 40
// of the 256 neighbours busy that may be asked for at a time.
constexpr std::uint64_t kResolveCostNs = 250'000'000;
constexpr std::uint64_t kResolveBurstNs = 16 * kResolveCostNs;

// A gateway is many sessions': none of them pays for it, and none can use up its bucket with
// neighbours that do not exist.
bool may_resolve(StageContext& stage, const PacketContext& context, bool gateway) noexcept {
  if (gateway) return stage.resolve_gateway.admit_one(stage.now_ns);
  if (context.session != nullptr && !admit(extension_of(stage, context).resolve_spent_ns,
                                           stage.now_ns, kResolveCostNs, kResolveBurstNs))
    return false;
  return stage.resolve.admit_one(stage.now_ns);
}

void punt(StageContext& stage, PacketContext& context, contract::PortRole port,
          PuntClass punt_class) noexcept {
  const auto index = static_cast<std::size_t>(punt_class);
  if (!stage.port(port).punt[index].admit_one(stage.now_ns)) {
    stage.counters.punt_classes[index].policed.add(1);
    return drop(context, DropReason::punt_policed);
  }
  context.port = port;
  context.punt_class = punt_class;
  context.lane = Lane::kPunt;
}

bool prepend_ethernet(rte_mbuf* packet, const MacAddress& destination, const MacAddress& source,
                      std::uint16_t type) noexcept {
  char* room = rte_pktmbuf_prepend(packet, wire::kEthernetHeaderSize);
  if (room == nullptr) return false;
  wire::write_ethernet({reinterpret_cast<std::byte*>(room), wire::kEthernetHeaderSize},
                       {destination, source, be16::from_host(type)});
  return true;
}

// `destination`: of either family; only asked for where the next hop is the destination itself.
template <class Address>
void send_frame(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                const Address& destination) noexcept {
  constexpr bool kIpv6 = std::is_same_v<Address, Ipv6Address>;
  constexpr std::uint16_t kType = kIpv6 ? wire::kEtherTypeIpv6 : wire::kEtherTypeIpv4;
  PacketContext& context = context_of(packet);
  const MacAddress& our_mac = stage.port(hop.port).mac;
  bool written = false;
  switch (hop.kind) {
    case NextHopKind::kGlean: {
      const bool gateway = !hop.gateway.is_unspecified();
      if (!may_resolve(stage, context, gateway))
        return drop(context, DropReason::next_hop_unresolved);
      written = prepend_ethernet(packet, MacAddress{}, hop.source, kType);
      if (context.lane == Lane::kGreOut) context.flags |= kPacketOuter;
      if (gateway) {
        context.next_hop = hop.gateway;
        context.flags |= kPacketForGateway;
      } else if constexpr (kIpv6) {
        context.next_hop = destination;
      } else {
        context.next_hop = mapped(destination);
      }
      context.lane = Lane::kResolve;
      break;
    }
    case NextHopKind::kLocal:
      if (!stage.port(hop.port).has_twin) return drop(context, DropReason::no_route);
      // Packets out of tunnels take nothing from the peers' control connections.
      punt(stage, context, hop.port,
           context.session != nullptr ? PuntClass::other : punt_class_of(kType, octets_of(packet)));
      if (context.lane != Lane::kPunt) return;
      written = prepend_ethernet(packet, our_mac, our_mac, kType);
      break;
    case NextHopKind::kPool:
      return drop(context, DropReason::pool_address_unused);
    case NextHopKind::kUnreachable:
    case NextHopKind::kResolved:  // not here, as the next one
    case NextHopKind::kSession:
    default:
      return drop(context, DropReason::no_route);
  }
  context.port = hop.port;
  if (!written) drop(context, DropReason::no_headroom);
}

// Leaves the inner packet of a frame, for a session that was not known before.
bool unwrap(rte_mbuf* packet, PacketContext& context, Ipv4Address) noexcept {
  narrow(packet, wire::kEthernetHeaderSize, context.inner_length);
  context.lane = Lane::kDownstreamIpv4;
  return true;
}

bool unwrap(rte_mbuf* packet, PacketContext& context, const Ipv6Address&) noexcept {
  const wire::Ipv6Header header =
      wire::read_ipv6(Bytes(octets_of(packet)).subspan(wire::kEthernetHeaderSize));
  if (wire::is_unforwardable(header.source)) {
    drop(context, DropReason::inner_scope);
    return false;
  }
  narrow(packet, wire::kEthernetHeaderSize, header.total_length());
  context.lane = Lane::kDownstreamIpv6;
  return true;
}

template <class Address>
void take(StageContext& stage, rte_mbuf* packet, PacketContext& context,
          const Address& destination) noexcept {
  const NextHops& routes = stage.routing.inner;
  const NextHop hop = routes.get(routes.lookup(destination));
  if (hop.kind == NextHopKind::kPool) return drop(context, DropReason::pool_address_unused);
  if (const FoundSession found = session_of(stage.sessions, hop)) {
    prefetch_downstream(*found.session);
    if (unwrap(packet, context, destination)) attach(context, found.slot, *found.session);
    return;
  }
  punt_to_kernel(stage, packet, context, contract::PortRole::kCore, DropReason::no_session);
}

// The kernel takes no packet from one of its own addresses: a report to a program of this host
// comes from the subscriber.
template <class Address>
const Address& report_source(const PacketContext& context, const Address& usual,
                             const Address& destination) noexcept {
  return (context.flags & kPacketFromHost) != 0 ? destination : usual;
}

template <class Error, class Header, class Address>
bool make_icmp_report(StageContext& stage, contract::SessionRecord& session,
                      const PacketContext& context, const Error& error, const Address& from,
                      const Header& header, Bytes packet) noexcept {
  if ((context.flags & kPacketNoIcmp) != 0 || from.is_unspecified() || stage.deferred.full() ||
      !wire::may_cause_icmp_error(header, packet))
    return false;
  if (!admit(session.icmp_spent_ns, stage.now_ns, kIcmpCostNs, kIcmpBurstNs)) return false;
  rte_mbuf* made = rte_pktmbuf_alloc(stage.pool);
  if (made == nullptr) return false;
  const std::size_t length =
      wire::write_icmp_error({rte_pktmbuf_mtod(made, std::byte*), rte_pktmbuf_tailroom(made)},
                             error, from, header, packet);
  if (length == 0) {
    rte_pktmbuf_free(made);
    return false;
  }
  made->data_len = static_cast<std::uint16_t>(length);
  made->pkt_len = static_cast<std::uint32_t>(length);
  PacketContext& of = context_of(made);
  of = PacketContext{};
  of.flags = kPacketTtlDone | kPacketNoIcmp;
  if constexpr (std::is_same_v<Address, Ipv6Address>) {
    of.lane = Lane::kForwardIpv6;
  } else {
    of.lane = Lane::kForwardIpv4;
    of.destination = header.source;
  }
  return stage.deferred.append(made);
}

}  // namespace

void punt_to_kernel(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                    contract::PortRole port, DropReason otherwise) noexcept {
  if (!stage.port(port).has_twin) return drop(context, otherwise);
  punt(stage, context, port, punt_class_of(octets_of(packet)));
}

void take_no_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                        Ipv4Address destination) noexcept {
  take(stage, packet, context, destination);
}

void take_no_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                        const Ipv6Address& destination) noexcept {
  take(stage, packet, context, destination);
}

void detail::send_unresolved(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                             Ipv4Address destination) noexcept {
  send_frame(stage, packet, hop, destination);
}

void detail::send_unresolved(StageContext& stage, rte_mbuf* packet, const NextHop& hop,
                             const Ipv6Address& destination) noexcept {
  send_frame(stage, packet, hop, destination);
}

bool send_icmp_error(StageContext& stage, contract::SessionRecord& session,
                     const PacketContext& context, const wire::IcmpError& error,
                     const wire::Ipv4Header& header, Bytes packet) noexcept {
  return make_icmp_report(stage, session, context, error,
                          report_source(context, stage.icmp_source, header.destination), header,
                          packet);
}

bool send_icmp_error(StageContext& stage, contract::SessionRecord& session,
                     const PacketContext& context, const wire::Icmpv6Error& error,
                     const wire::Ipv6Header& header, Bytes packet) noexcept {
  return make_icmp_report(stage, session, context, error,
                          report_source(context, stage.icmp_source_ipv6, header.destination),
                          header, packet);
}

}  // namespace pns::dataplane
