// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv4_in.hpp"

#include "dataplane/pipeline/local_delivery.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

void admit_ipv4(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  if (const DropReason why = wire::check_ipv4(octets_of(packet)); why != DropReason::kNone)
    return drop_upstream(context, inner_reason(why));
  const wire::Ipv4Header header = wire::read_ipv4(octets_of(packet));
  if (header.source != session.subscriber) return drop_upstream(context, DropReason::inner_source);
  if (wire::is_unforwardable(header.destination))
    return drop_upstream(context, DropReason::inner_destination);
  if (!admit_octets(session.upstream.rate_spent_ns, stage.now_ns, header.total_length,
                    session.rate_bits_per_second))
    return drop_upstream(context, DropReason::rate_limited);
  narrow(packet, 0, header.total_length);
  if (session.inner_mtu > 40)
    wire::clamp_mss(octets_of(packet), header, static_cast<std::uint16_t>(session.inner_mtu - 40));
  context.destination = header.destination;
  context.inner_length = header.total_length;
  context.lane = Lane::kForwardIpv4;
  // Our side of the link is no interface of the kernel's: its pings are answered here.
  if (header.destination == session.gateway && !answer_ping(stage, packet, context))
    drop_upstream(context, DropReason::inner_destination);
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
