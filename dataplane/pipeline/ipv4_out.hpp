// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kSubscriber → kDownstreamIpv4, or refuse_subscriber() when the record is not the
// destination's; kDownstreamIpv4 → kSeal. Hands the packets of
// other workers over, and makes the packet fit: TTL, the session's rate, MSS, MTU. Too big: with DF
// an ICMP report to the sender (RFC 1191), else fragments, which are appended to the burst in place
// of the original. Sets Burst::has_ipv6. RFC 1812 §5.3.1, §4.2.2.7.
void ipv4_out(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
