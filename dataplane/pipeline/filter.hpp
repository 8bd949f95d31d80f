// SPDX-License-Identifier: BSD-3-Clause
//
// Filters of sessions: packets that a filter does not permit are dropped (filtered). Upstream,
// after the packet was checked and has paid for its rate; packets that end on the link are not
// filtered. Downstream, before anything else, so that what is dropped costs the session no rate.
// Called only where a filter set exists.
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lanes kForwardIpv4 and kForwardIpv6.
void filter_upstream(Burst& burst, StageContext& stage) noexcept;
// Lanes kDownstreamIpv4 and kDownstreamIpv6 of sessions that are this worker's.
void filter_downstream(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
