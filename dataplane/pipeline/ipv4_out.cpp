// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ipv4_out.hpp"

#include "dataplane/pipeline/admission.hpp"
#include "dataplane/pipeline/egress.hpp"
#include "dataplane/pipeline/filter.hpp"
#include "dataplane/pipeline/fragment.hpp"
#include "dataplane/pipeline/rate.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ppp_protocol.hpp"
#include "pns/wire/tcp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

constexpr std::uint16_t kIpv4Protocol = static_cast<std::uint16_t>(wire::PppProtocol::kIpv4);

void to_seal(PacketContext& context, std::uint16_t length) noexcept {
  context.inner_length = length;
  context.ppp_protocol = kIpv4Protocol;
  context.lane = Lane::kSeal;
}

void make_fit(Burst& burst, StageContext& stage, rte_mbuf* packet, PacketContext& context,
              const wire::Ipv4Header& header) noexcept {
  SessionRecord& session = *context.session;
  if (header.dont_fragment) {
    const wire::IcmpError error{wire::kIcmpDestinationUnreachable,
                                wire::kIcmpCodeFragmentationNeeded, session.inner_mtu};
    const bool reported =
        send_icmp_error(stage, session, context, error, header, octets_of(packet));
    return drop_downstream(context,
                           reported ? DropReason::too_big : DropReason::too_big_unreported);
  }
  const auto cut =
      replace_by_fragments(burst, stage, packet, header, session.inner_mtu, [](rte_mbuf* fragment) {
        to_seal(context_of(fragment), static_cast<std::uint16_t>(fragment->pkt_len));
      });
  if (!cut) drop_downstream(context, cut.error());
}

// An index has named the session; the record says whether it is the destination's.
void confirm_subscriber(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const SessionRecord& session = *context.session;
  if (load_shared(session.subscriber) != context.destination) {
    context.session = nullptr;
    return take_no_subscriber(stage, packet, context, context.destination);
  }
  context.generation = session.generation.load(std::memory_order_relaxed);
  narrow(packet, wire::kEthernetHeaderSize, context.inner_length);
  context.lane = Lane::kDownstreamIpv4;
}

void fit_ipv4(Burst& burst, StageContext& stage, rte_mbuf* packet,
              PacketContext& context) noexcept {
  if (!may_go_down(stage, context, contract::kFlagIpv4Open)) return;
  // Whoever chose this lane has parsed the header and found the session.
  const wire::Ipv4Header header = wire::read_ipv4(octets_of(packet));
  if (wire::is_unforwardable(header.source))
    return drop_downstream(context, DropReason::inner_scope);
  SessionRecord& session = *context.session;
  stage.routing.outer.prefetch(session.peer);
  narrow(packet, 0, header.total_length);
  if ((context.flags & kPacketTtlDone) == 0) {
    if (header.time_to_live <= 1) {
      send_icmp_error(stage, session, context, {wire::kIcmpTimeExceeded, 0, 0}, header,
                      octets_of(packet));
      return drop_downstream(context, DropReason::ttl_expired);
    }
    wire::decrement_ttl(octets_of(packet));
    context.flags |= kPacketTtlDone;
  }
  if (!pay_downstream(stage, context, header.total_length)) return;
  if (header.total_length > session.inner_mtu)
    return make_fit(burst, stage, packet, context, header);
  if (session.inner_mtu > 40)
    wire::clamp_mss(octets_of(packet), header, static_cast<std::uint16_t>(session.inner_mtu - 40));
  to_seal(context, header.total_length);
}

// Fetches what a packet's record says that the stages behind will touch.
void prefetch_extras_of(rte_mbuf* packet) noexcept {
  constexpr std::uint32_t kWithSession = lane_bit(Lane::kSubscriber) |
                                         lane_bit(Lane::kDownstreamIpv4) |
                                         lane_bit(Lane::kDownstreamIpv6);
  const PacketContext& context = context_of(packet);
  if ((lane_bit(context.lane) & kWithSession) != 0) prefetch_session_extras(*context.session);
}
constexpr std::uint16_t kPrefetchDistance = 4;  // packets

}  // namespace

void ipv4_out(Burst& burst, StageContext& stage) noexcept {
  const std::uint16_t count = burst.count;
  bool ipv6 = false;
  const bool filters = stage.filters != nullptr;
  for (std::uint16_t i = 0; i < std::min(count, kPrefetchDistance); ++i)
    prefetch_extras_of(burst.packets[i]);
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + kPrefetchDistance < count) prefetch_extras_of(burst.packets[i + kPrefetchDistance]);
    rte_mbuf* const packet = burst.packets[i];
    PacketContext& context = context_of(packet);
    ipv6 |= context.lane == Lane::kDownstreamIpv6;
    if (context.lane == Lane::kSubscriber) confirm_subscriber(stage, packet, context);
    if (context.lane == Lane::kDownstreamIpv4 && !filters) fit_ipv4(burst, stage, packet, context);
  }
  if (filters) {
    filter_downstream(burst, stage);
    for (std::uint16_t i = 0; i < count; ++i) {
      PacketContext& context = context_of(burst.packets[i]);
      if (context.lane == Lane::kDownstreamIpv4) fit_ipv4(burst, stage, burst.packets[i], context);
    }
  }
  burst.has_ipv6 |= ipv6;
}

}  // namespace pns::dataplane
