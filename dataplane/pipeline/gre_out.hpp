// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kGreOut → kTransmit, kResolve. Puts GRE and the outer IPv4 header before a PPP frame, with
// the session's next sequence number (stored before the packet can leave) and the acknowledgement
// that is owed, and finds the way to the peer. An empty frame becomes an acknowledgement alone, or
// nothing when none is owed. Packets beyond the port's MTU leave in fragments: DF stays clear,
// since few PPTP peers survive a black hole. Where the peer's window is minded, packets beyond it
// leave the burst and wait (stage.send_window). RFC 2637 §4.
void gre_out(Burst& burst, StageContext& stage) noexcept;

// An mbuf in lane kGreOut that becomes an acknowledgement alone. Null: no buffer.
[[nodiscard]] rte_mbuf* make_ack(StageContext& stage, SlotId slot,
                                 contract::SessionRecord& session) noexcept;

}  // namespace pns::dataplane
