// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kGre → kPpp. Checks the GRE header, finds the session by (destination, Call ID), checks that
// the packet comes from its peer before anything changes, notes the acknowledgement it carries,
// judges its sequence number and schedules our own acknowledgement. Takes outer headers and padding
// off. A packet that came before an earlier one leaves the burst and waits (stage.reorder); the
// burst gets back those for which there is nothing more to wait. Sessions that decrypt are not
// moved over a gap here, but by confirm_sequence(). Calls of another worker: kHandOver.
// Acknowledgement only: kConsumed. RFC 2637 §4. At most Burst::kReceive packets.
void gre_in(Burst& burst, StageContext& stage) noexcept;

// Appends to an empty burst, as lane kPpp, the packets that have waited long enough for others.
void release_reordered(Burst& burst, StageContext& stage) noexcept;

// A sequence number that MPPE has vouched for becomes the highest received.
void confirm_sequence(StageContext& stage, PacketContext& context) noexcept;

}  // namespace pns::dataplane
