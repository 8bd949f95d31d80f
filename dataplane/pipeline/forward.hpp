// SPDX-License-Identifier: BSD-3-Clause
//
// The router between subscribers, the core and this host, one function for each family. Both take
// inner packets that have been checked, in either direction, and look into the inner routing table
// only: its routes say which destinations may be subscribers. One worker.
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kForwardIpv4 → kDownstreamIpv4 (the destination is a subscriber), kTransmit, kResolve,
// kPunt. Route first, then TTL: a packet for this host may arrive with 1. Packets over the MTU of
// the port leave in fragments, which are appended to the burst. Unreachable and expired packets,
// and those that are too large and must not be cut, are reported to their sender. Sets
// Burst::has_ipv6. RFC 1812 §5.2.1, §5.3.1.
void forward_ipv4(Burst& burst, StageContext& stage) noexcept;

// Lane kForwardIpv6 → kDownstreamIpv6 (the destination is a subscriber), kTransmit, kResolve,
// kPunt. Route first, then hop limit. Unreachable, expired and too large packets are reported to
// their sender. RFC 4443 §3.
void forward_ipv6(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
