// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv6_out.hpp"

#include "dataplane/pipeline/admission.hpp"
#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/rate.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/ppp_protocol.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

constexpr std::uint16_t kIpv6AndTcpHeader = 60;

void fit_ipv6(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  if (!may_go_down(stage, context, contract::kFlagIpv6Open)) return;
  // Whoever chose this lane has parsed the header and found the session.
  const wire::Ipv6Header header = wire::read_ipv6(octets_of(packet));
  const std::uint32_t length = header.total_length();
  narrow(packet, 0, length);
  if ((context.flags & kPacketTtlDone) == 0) {
    if (header.hop_limit <= 1) {
      send_icmp_error(stage, session, context, {wire::kIcmpv6TimeExceeded, 0, 0}, header,
                      octets_of(packet));
      return drop_downstream(context, DropReason::ttl_expired);
    }
    wire::decrement_hop_limit(octets_of(packet));
    context.flags |= kPacketTtlDone;
  }
  if (!pay_downstream(stage, context, length)) return;
  const std::uint16_t mtu = ipv6_mtu(session);
  if (length > mtu) {
    const bool reported = send_icmp_error(
        stage, session, context, {wire::kIcmpv6PacketTooBig, 0, mtu}, header, octets_of(packet));
    return drop_downstream(context,
                           reported ? DropReason::too_big : DropReason::too_big_unreported);
  }
  wire::clamp_mss(octets_of(packet), header, static_cast<std::uint16_t>(mtu - kIpv6AndTcpHeader));
  context.inner_length = static_cast<std::uint16_t>(length);
  context.ppp_protocol = static_cast<std::uint16_t>(wire::PppProtocol::kIpv6);
  context.lane = Lane::kSeal;
}

}  // namespace

void ipv6_out(Burst& burst, StageContext& stage) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kDownstreamIpv6) fit_ipv6(stage, packet, context);
  }
}

}  // namespace pns::dataplane
