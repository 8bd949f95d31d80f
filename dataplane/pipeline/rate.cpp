// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/rate.hpp"

#include <algorithm>

#include "pns/wire/ppp_protocol.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionExtension;
using contract::SessionRecord;

constexpr std::size_t kUp = 0;  // in SessionExtension::waiting
constexpr std::size_t kDown = 1;

using Drop = void (*)(PacketContext&, DropReason) noexcept;

// The time from which a packet conforms to the bucket (GCRA) is the time at which it leaves. The
// bucket has paid for all that wait, so their delay bounds their octets.
bool pay_and_wait(StageContext& stage, PacketContext& context, std::uint64_t octets,
                  contract::OctetRate rate, std::uint64_t& spent_until, std::uint64_t max_delay_ns,
                  std::uint16_t waiting, Drop drop_packet) noexcept {
  const std::uint64_t now_ns = stage.now_ns;
  const std::uint64_t cost = rate.cost_ns(octets);
  const std::uint64_t burst = std::max(rate.burst_ns(), cost);
  // At a low rate a packet costs more than the longest delay. One may wait then.
  const std::uint64_t limit = std::min(std::max(max_delay_ns, cost), DepartureWheel::kHorizonNs);
  const std::uint64_t end =
      paid_from(spent_until, now_ns, burst + limit + rate.cost_ns(kMaxPacketOctets)) + cost;
  const std::uint64_t leaves_ns = std::max(end - std::min(end, burst), now_ns);
  if (leaves_ns - now_ns > limit) {
    drop_packet(context, DropReason::shaper_delay);
    return false;
  }
  // Behind others that wait it waits too, were it for the end of a slot.
  if (leaves_ns != now_ns || waiting != 0) {
    if (stage.departures.full() || waiting >= stage.rates.max_session_packets) {
      drop_packet(context, DropReason::shaper_full);
      return false;
    }
    context.flags |= kPacketWaits;
    context.next_hop.low = leaves_ns;
    stage.packets_wait = true;
  }
  spent_until = end;
  return true;
}

// The direction in which a packet waits, by its lane; kDirections: in this lane none does.
constexpr std::size_t kDirections = 2;
std::size_t direction_of(const PacketContext& context) noexcept {
  if (context.lane == Lane::kSeal) return kDown;
  return context.lane == Lane::kForwardIpv4 || context.lane == Lane::kForwardIpv6 ? kUp
                                                                                  : kDirections;
}

std::uint32_t open_flag_of(const PacketContext& context) noexcept {
  const bool ipv6 = context.lane == Lane::kForwardIpv6 ||
                    (context.lane == Lane::kSeal &&
                     context.ppp_protocol == static_cast<std::uint16_t>(wire::PppProtocol::kIpv6));
  return ipv6 ? contract::kFlagIpv6Open : contract::kFlagIpv4Open;
}

}  // namespace

bool detail::pay_and_wait_upstream(StageContext& stage, PacketContext& context,
                                   std::uint64_t octets) noexcept {
  SessionRecord& session = *context.session;
  const contract::OctetRate rate = session.upstream_rate;
  return !rate || pay_and_wait(stage, context, octets, rate, session.upstream.rate_spent_ns,
                               stage.rates.up.max_delay_ns,
                               extension_of(stage, context).waiting[kUp], drop_upstream);
}

bool detail::pay_and_wait_downstream(StageContext& stage, PacketContext& context,
                                     std::uint64_t octets) noexcept {
  SessionRecord& session = *context.session;
  const contract::OctetRate rate = session.downstream.rate;
  return !rate || pay_and_wait(stage, context, octets, rate, session.downstream.rate_spent_ns,
                               stage.rates.down.max_delay_ns,
                               extension_of(stage, context).waiting[kDown], drop_downstream);
}

void hold_waiting(Burst& burst, StageContext& stage) noexcept {
  stage.packets_wait = false;
  for (rte_mbuf*& packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if ((context.flags & kPacketWaits) == 0) continue;
    context.flags &= static_cast<std::uint16_t>(~kPacketWaits);
    // A stage behind the rate may have given it another fate.
    const std::size_t direction = direction_of(context);
    if (direction == kDirections) continue;
    std::uint16_t& waiting = extension_of(stage, context).waiting[direction];
    if (stage.departures.full() || waiting >= stage.rates.max_session_packets) {
      (direction == kUp ? drop_upstream : drop_downstream)(context, DropReason::shaper_full);
      continue;
    }
    ++waiting;
    stage.counters.shaped.add(1);
    stage.departures.put(packet, context.next_hop.low, stage.now_ns);
    packet = nullptr;
  }
  burst.compact();
}

void take_departing(Burst& burst, StageContext& stage) noexcept {
  burst.count = static_cast<std::uint16_t>(
      stage.departures.take_due(std::span(burst.packets).first(Burst::kReceive), stage.now_ns));
  for (rte_mbuf* packet : burst.all()) rte_prefetch0(rte_mbuf_to_priv(packet));
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    context.next_hop = {};
    if (!stage.sessions.is_current(context.slot, context.generation)) {
      context.session = nullptr;
      drop(context, DropReason::no_session);
      continue;
    }
    const std::size_t direction = direction_of(context);
    std::uint16_t& waiting = extension_of(stage, context).waiting[direction];
    if (waiting != 0) --waiting;
    burst.has_ipv6 |= context.lane == Lane::kForwardIpv6;
    if ((context.session->flags.load(std::memory_order_relaxed) & open_flag_of(context)) == 0)
      (direction == kUp ? drop_upstream : drop_downstream)(context, DropReason::network_not_open);
  }
}

}  // namespace pns::dataplane
