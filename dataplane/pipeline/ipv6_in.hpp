// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kInnerIpv6 → kForwardIpv6. Everything an IPv6 packet from a subscriber must satisfy: a whole
// and right header, a source inside the session's /64 (RFC 2827), or the peer's own link-local
// address for what stays on the link, the session's rate. Lowers the MSS of SYNs. Cuts padding off.
// Packets for our end of the link end here: Router Solicitations → kControl (with Protocol 0057),
// Neighbor Solicitations for our address and Echo Requests are answered → kDownstreamIpv6, other
// link-local multicast (MLD, duplicate address detection) → kConsumed. RFC 8200, RFC 4291 §2.5.6,
// RFC 4861 §6.1.1, §7.1.1.
void ipv6_in(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
