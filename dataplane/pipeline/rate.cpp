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

// A packet and what it pays with.
struct Payment {
  std::uint64_t octets = 0;
  contract::OctetRate rate;  // of the session; no limit: only its group pays
  std::uint64_t& spent_until;
  const RateSettings::Direction& mode;
  std::size_t direction = 0;
  std::uint16_t group = 0;
  Drop drop_packet = nullptr;
};

// When a bucket has paid for a packet, and from when it admits it (GCRA).
struct Position {
  std::uint64_t paid_until = 0;
  std::uint64_t leaves_ns = 0;
};
Position position_of(const Payment& payment, std::uint64_t now_ns, std::uint64_t limit) noexcept {
  const std::uint64_t cost = payment.rate.cost_ns(payment.octets);
  const std::uint64_t burst = std::max(payment.rate.burst_ns(), cost);
  const std::uint64_t most_ahead = burst + limit + payment.rate.cost_ns(kMaxPacketOctets);
  const std::uint64_t paid_until = paid_from(payment.spent_until, now_ns, most_ahead) + cost;
  return {paid_until, paid_until - std::min(paid_until, burst)};
}

// How long a packet may wait. At a low rate a packet costs more than the longest delay: one may
// wait then.
std::uint64_t limit_of(const Payment& payment) noexcept {
  if (!payment.mode.shapes) return 0;
  const std::uint64_t cost = payment.rate ? payment.rate.cost_ns(payment.octets) : 0;
  return std::min(std::max(payment.mode.max_delay_ns, cost), DepartureWheel::kHorizonNs);
}

// The packet leaves when both buckets admit it. They have paid for all that wait, so the delay of
// the packets bounds their octets.
bool pay(StageContext& stage, PacketContext& context, const Payment& payment) noexcept {
  const std::uint64_t now_ns = stage.now_ns;
  const std::uint64_t limit = limit_of(payment);
  const auto refuse = [&](DropReason policed) {
    payment.drop_packet(context, payment.mode.shapes ? DropReason::shaper_delay : policed);
    return false;
  };
  Position own;
  if (payment.rate) {
    own = position_of(payment, now_ns, limit);
    if (own.leaves_ns > now_ns + limit) return refuse(DropReason::rate_limited);
  }
  std::uint64_t leaves_ns = std::max(own.leaves_ns, now_ns);
  if (payment.group != 0) {
    const auto offer = stage.groups.offer(payment.group, payment.direction, payment.octets, now_ns,
                                          payment.mode.max_delay_ns);
    if (offer.leaves_ns > now_ns + limit) return refuse(DropReason::group_rate_limited);
    leaves_ns = std::max(leaves_ns, offer.leaves_ns);
  }
  if (payment.mode.shapes) {
    // Behind others that wait it waits too, were it for the end of a slot.
    const std::uint16_t waiting = stage.departures.packets() == 0
                                      ? std::uint16_t{0}
                                      : extension_of(stage, context).waiting[payment.direction];
    if (leaves_ns != now_ns || waiting != 0) {
      if (stage.departures.full() || waiting >= stage.rates.max_session_packets) {
        payment.drop_packet(context, DropReason::shaper_full);
        return false;
      }
      context.flags |= kPacketWaits;
      context.next_hop.low = leaves_ns;
      stage.packets_wait = true;
    }
  }
  if (payment.rate) payment.spent_until = own.paid_until;
  if (payment.group != 0)
    stage.groups.spend(payment.group, payment.direction, payment.octets, now_ns,
                       payment.mode.max_delay_ns);
  return true;
}

contract::OctetRate own_rate(const SessionRecord& session, contract::OctetRate rate) noexcept {
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  return (flags & contract::kFlagRates) != 0 ? rate : contract::OctetRate();
}
std::uint16_t group_of(const SessionRecord& session) noexcept {
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  return (flags & contract::kFlagRateGroup) != 0 ? session.downstream.rate_group : std::uint16_t{0};
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

bool detail::pay_at_length_upstream(StageContext& stage, PacketContext& context,
                                    std::uint64_t octets) noexcept {
  SessionRecord& session = *context.session;
  return pay(stage, context,
             {.octets = octets,
              .rate = own_rate(session, session.upstream_rate),
              .spent_until = session.upstream.rate_spent_ns,
              .mode = stage.rates.up,
              .direction = kUp,
              .group = group_of(session),
              .drop_packet = drop_upstream});
}

bool detail::pay_at_length_downstream(StageContext& stage, PacketContext& context,
                                      std::uint64_t octets) noexcept {
  SessionRecord& session = *context.session;
  return pay(stage, context,
             {.octets = octets,
              .rate = own_rate(session, session.downstream.rate),
              .spent_until = session.downstream.rate_spent_ns,
              .mode = stage.rates.down,
              .direction = kDown,
              .group = group_of(session),
              .drop_packet = drop_downstream});
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
