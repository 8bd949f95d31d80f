// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kInnerIpv4 → kForwardIpv4, and kInnerIpv6 by way of ipv6_in(). Everything an IPv4 packet
// from a subscriber must satisfy: a whole and right header, the leased source address (RFC 2827), a
// destination that is one host, the session's rate. Lowers the MSS of SYNs to what fits downstream.
// Cuts padding off.
void ipv4_in(Burst& burst, StageContext& stage) noexcept;

// Lanes kForwardIpv4, and kForwardIpv6 by way of forward_ipv6() → kDownstreamIpv4 (the destination
// is a subscriber), kTransmit, kResolve, kPunt. Route first, then TTL: what is for this host may
// arrive with 1. Unreachable and expired packets are reported to their sender. RFC 1812 §5.2.1,
// §5.3.1.
void forward(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
