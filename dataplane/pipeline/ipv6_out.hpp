// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kDownstreamIpv6 → kSeal. Hands the packets of other workers over, and sees that the packet
// fits: hop limit, the session's rate, MSS, MTU. Too big: Packet Too Big to the sender; a router
// never cuts IPv6. RFC 8200 §4.5, §5, RFC 4443 §3.2.
void ipv6_out(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
