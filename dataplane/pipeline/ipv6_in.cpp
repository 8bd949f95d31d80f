// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv6_in.hpp"

#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/local_delivery.hpp"
#include "dataplane/pipeline/networks.hpp"
#include "dataplane/pipeline/rate.hpp"
#include "pns/wire/dhcpv6.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ppp_protocol.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

constexpr std::uint16_t kIpv6Protocol = static_cast<std::uint16_t>(wire::PppProtocol::kIpv6);
constexpr std::uint16_t kIpv6AndTcpHeader = 60;

// A Neighbor Solicitation: for our address on the link, it is answered.
void take_neighbor_solicitation(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                                const wire::Ipv6Header& header) noexcept {
  const auto target = wire::neighbor_solicitation_target(octets_of(packet), header);
  if (!target) return drop_upstream(context, DropReason::nd_invalid);
  // Duplicate address detection has no sender to answer; IPv6CP has made the identifiers differ.
  if (*target != wire::link_local(context.session->our_interface_id) ||
      header.source.is_unspecified()) {
    context.lane = Lane::kConsumed;
    return;
  }
  wire::write_neighbor_advertisement(octets_of(packet), *target, header.source);
  narrow(packet, 0, wire::kNeighborAdvertisementSize);
  send_back(stage, context, Lane::kDownstreamIpv6);
}

// Takes packets that do not leave the link.
void take_link_scope(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     const wire::Ipv6Header& header) noexcept {
  const bool multicast = header.destination.is_multicast();
  if (multicast ? wire::multicast_scope(header.destination) != wire::kScopeLink
                : header.destination != wire::link_local(context.session->our_interface_id))
    return drop_upstream(context, DropReason::inner_destination);
  const auto type = wire::icmpv6_type(octets_of(packet), header);
  if (type == wire::kIcmpv6RouterSolicitation) {
    if (!wire::is_valid_router_solicitation(octets_of(packet), header))
      return drop_upstream(context, DropReason::nd_invalid);
    return punt_to_control(stage, packet, context, kIpv6Protocol, 0);
  }
  if (type == wire::kIcmpv6NeighborSolicitation)
    return take_neighbor_solicitation(stage, packet, context, header);
  if ((!multicast || header.destination == wire::kAllDhcpv6Servers) &&
      wire::is_for_dhcpv6_server(octets_of(packet), header))
    return punt_to_control(stage, packet, context, kIpv6Protocol, 0);
  if (multicast) {
    context.lane = Lane::kConsumed;
    return;
  }
  if (!wire::answer_echo(octets_of(packet), header))
    return drop_upstream(context, DropReason::inner_destination);
  send_back(stage, context, Lane::kDownstreamIpv6);
}

// An address of the session's own /64: the Subnet-Router anycast address is ours (RFC 4291 §2.6.1);
// nothing goes back onto the link it came from (RFC 4443 §3.1).
void take_own_prefix(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                     const wire::Ipv6Header& header) noexcept {
  if (header.destination.low == 0 && wire::answer_echo(octets_of(packet), header))
    return send_back(stage, context, Lane::kDownstreamIpv6);
  if (header.destination.low != 0)
    send_icmp_error(stage, *context.session, context,
                    {wire::kIcmpv6DestinationUnreachable, wire::kIcmpv6CodeAddressUnreachable, 0},
                    header, octets_of(packet));
  drop_upstream(context, DropReason::inner_destination);
}

// Ours, or the peer's on this link; nobody's yet, for a question to a group.
bool is_source_right(const SessionRecord& session, const wire::Ipv6Header& header,
                     bool link_scope) noexcept {
  if (header.source.high == session.ipv6_prefix) return true;
  if (!link_scope) return false;
  return header.source == wire::link_local(session.peer_interface_id) ||
         (header.source.is_unspecified() && header.destination.is_multicast());
}

void admit_ipv6(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  const auto header = wire::parse_ipv6(octets_of(packet));
  if (!header) return drop_upstream(context, inner_reason(header.error()));
  const bool multicast = header->destination.is_multicast();
  const bool link_scope = multicast || header->destination.is_link_local();
  if (!is_source_right(session, *header, link_scope) && !is_behind(stage, context, header->source))
    return drop_upstream(context, DropReason::inner_source);
  if (!link_scope && wire::is_unforwardable(header->destination))
    return drop_upstream(context, DropReason::inner_destination);
  const std::uint32_t length = header->total_length();
  if (!pay_upstream(stage, context, length)) return;
  narrow(packet, 0, length);
  context.inner_length = static_cast<std::uint16_t>(length);
  if (link_scope) return take_link_scope(stage, packet, context, *header);
  if (header->destination.high == session.ipv6_prefix)
    return take_own_prefix(stage, packet, context, *header);
  wire::clamp_mss(octets_of(packet), *header,
                  static_cast<std::uint16_t>(ipv6_mtu(session) - kIpv6AndTcpHeader));
  context.lane = Lane::kForwardIpv6;
}

}  // namespace

void ipv6_in(Burst& burst, StageContext& stage) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kInnerIpv6) admit_ipv6(stage, packet, context);
  }
}

}  // namespace pns::dataplane
