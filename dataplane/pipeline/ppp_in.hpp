// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Longest PPP frame taken, Address to last octet (RFC 2637 §1.4).
inline constexpr std::size_t kMaxReceiveUnit = 1532;

// Lane kPpp → kMppe (header and data), kInnerIpv4 and kInnerIpv6 (in the clear, where it may be),
// kPppOut (the answer to an LCP Echo-Request), kControl (any control protocol, and network
// protocols that are not open, from a two-octet Protocol field on, within the session's rate),
// kConsumed. RFC 1661 §2, §5.7, §5.8.
void ppp_in(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
