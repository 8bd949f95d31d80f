// SPDX-License-Identifier: BSD-3-Clause
//
// The rates of sessions and their groups. A packet pays its session's token bucket, and that of the
// session's group, for its octets. A packet over a rate is dropped where a direction polices. Where
// it shapes, the bucket tells when the packet may leave: the packet goes on through the stages
// until hold_waiting() puts it into the worker's DepartureWheel, before it is encrypted or
// forwarded. One worker; plain functions.
#pragma once

#include <cstdint>

#include "dataplane/packet/burst.hpp"
#include "dataplane/packet/packet_context.hpp"
#include "dataplane/packet/policer.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

namespace detail {

inline constexpr std::uint32_t kFlagsOfRates = contract::kFlagRates | contract::kFlagRateGroup;

// The same for sessions with a group, and where the direction shapes.
bool pay_at_length_upstream(StageContext& stage, PacketContext& context,
                            std::uint64_t octets) noexcept;
bool pay_at_length_downstream(StageContext& stage, PacketContext& context,
                              std::uint64_t octets) noexcept;

}  // namespace detail

// The session of a packet pays for `octets` of inner IP. False: it cannot, and the packet is
// dropped. True: the packet passes, or has kPacketWaits.
[[nodiscard]] inline bool pay_upstream(StageContext& stage, PacketContext& context,
                                       std::uint64_t octets) noexcept {
  contract::SessionRecord& session = *context.session;
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed) & detail::kFlagsOfRates;
  if (flags == 0) return true;
  if (stage.rates.up.shapes || flags != contract::kFlagRates)
    return detail::pay_at_length_upstream(stage, context, octets);
  const contract::OctetRate rate = session.upstream_rate;
  if (!rate || admit_octets(session.upstream.rate_spent_ns, stage.now_ns, octets, rate))
    return true;
  drop_upstream(context, DropReason::rate_limited);
  return false;
}
[[nodiscard]] inline bool pay_downstream(StageContext& stage, PacketContext& context,
                                         std::uint64_t octets) noexcept {
  contract::SessionRecord& session = *context.session;
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed) & detail::kFlagsOfRates;
  if (flags == 0) return true;
  if (stage.rates.down.shapes || flags != contract::kFlagRates)
    return detail::pay_at_length_downstream(stage, context, octets);
  const contract::OctetRate rate = session.downstream.rate;
  if (!rate || admit_octets(session.downstream.rate_spent_ns, stage.now_ns, octets, rate))
    return true;
  drop_downstream(context, DropReason::rate_limited);
  return false;
}

// Takes the packets that must wait out of a burst: upstream before they are forwarded (lanes
// kForwardIpv4, kForwardIpv6), downstream before they are encrypted (kSeal). Call it when
// stage.packets_wait.
void hold_waiting(Burst& burst, StageContext& stage) noexcept;

// Packets whose time has come, in the lanes that they waited in, into an empty burst: at most
// Burst::kReceive. Those of a session that is gone are dropped.
void take_departing(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
