// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kInnerIpv4 → kForwardIpv4. Everything an IPv4 packet from a subscriber must satisfy: a whole
// and right header, the leased source address (RFC 2827), a destination that is one host, the
// session's rate. Lowers the MSS of SYNs to what fits downstream. Cuts padding off. Sets
// Burst::has_ipv6.
void ipv4_in(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
