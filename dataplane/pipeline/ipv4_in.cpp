// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv4_in.hpp"

#include "dataplane/pipeline/broadcast_relay.hpp"
#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/local_delivery.hpp"
#include "dataplane/pipeline/networks.hpp"
#include "dataplane/pipeline/rate.hpp"
#include "dataplane/routing/broadcast_networks.hpp"
#include "pns/wire/dhcp.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ppp_protocol.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

constexpr std::uint16_t kIpv4Protocol = static_cast<std::uint16_t>(wire::PppProtocol::kIpv4);

// Packets that do not leave the link: to the limited broadcast address, or to our side of the link.
// The control process answers DHCPINFORM; pings are answered here. The rest is for services of the
// host, where the gateway is an address of it. Behind a core port into the host's own stack the
// host answers all but DHCPINFORM, by its own rules.
[[gnu::noinline]] void take_link_scope(StageContext& stage, rte_mbuf* packet,
                                       PacketContext& context,
                                       const wire::Ipv4Header& header) noexcept {
  const MutableBytes octets = octets_of(packet);
  if (wire::is_for_dhcp_server(octets, header)) {
    if (!wire::parse_dhcp_inform(octets)) return drop_upstream(context, DropReason::dhcp_refused);
    return punt_to_control(stage, packet, context, kIpv4Protocol, 0);
  }
  if (stage.broadcasts != nullptr && header.destination == kLimitedBroadcast)
    return relay_from_subscriber(stage, packet, context, header);
  if (header.destination != context.session->gateway)
    return drop_upstream(context, DropReason::inner_destination);
  if (stage.port(contract::PortRole::kCore).leads_to_host) return;
  if (answer_ping(stage, packet, context) || is_local(stage, header.destination)) return;
  if (stage.port(contract::PortRole::kCore).has_services)
    return drop_upstream(context, DropReason::inner_destination);
  send_icmp_error(stage, *context.session, context,
                  {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeProhibited, 0}, header,
                  octets);
  drop_upstream(context, DropReason::services_off);
}

void admit_ipv4(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  if (const DropReason why = wire::check_ipv4(octets_of(packet)); why != DropReason::kNone)
    return drop_upstream(context, inner_reason(why));
  const wire::Ipv4Header header = wire::read_ipv4(octets_of(packet));
  if (header.source != session.subscriber && !is_behind(stage, context, header.source))
    return drop_upstream(context, DropReason::inner_source);
  const bool broadcast = header.destination == kLimitedBroadcast;
  if (wire::is_unforwardable(header.destination) && !broadcast)
    return drop_upstream(context, DropReason::inner_destination);
  if (!pay_upstream(stage, context, header.total_length)) return;
  narrow(packet, 0, header.total_length);
  if (session.inner_mtu > 40)
    wire::clamp_mss(octets_of(packet), header, static_cast<std::uint16_t>(session.inner_mtu - 40));
  stage.routing.inner.prefetch(header.destination);
  context.destination = header.destination;
  context.inner_length = header.total_length;
  context.lane = Lane::kForwardIpv4;
  if (header.destination == session.gateway || broadcast)
    take_link_scope(stage, packet, context, header);
}

}  // namespace

void ipv4_in(Burst& burst, StageContext& stage) noexcept {
  bool ipv6 = false;
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kInnerIpv4)
      admit_ipv4(stage, packet, context);
    else
      ipv6 |= context.lane == Lane::kInnerIpv6;
  }
  burst.has_ipv6 |= ipv6;
}

}  // namespace pns::dataplane
