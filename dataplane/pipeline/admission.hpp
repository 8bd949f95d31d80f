// SPDX-License-Identifier: BSD-3-Clause
//
// Conditions that every packet to a subscriber must meet before it is looked at, whatever its
// protocol.
#pragma once

#include "dataplane/packet/packet_context.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// True when the packet may go down its session: it is with the session's owner, the network
// protocol is open (`open_flag`, one of contract::kFlag…Open), and nothing leaves in the clear
// where encryption is required. Otherwise its fate is set; another owner resumes in the packet's
// lane.
[[nodiscard]] inline bool may_go_down(StageContext& stage, PacketContext& context,
                                      std::uint32_t open_flag) noexcept {
  const contract::SessionRecord& session = *context.session;
  const WorkerId owner = stage.sessions.owner(session.our_call_id);
  if (owner != stage.self) {
    context.resume = context.lane;
    context.lane = Lane::kHandOver;
    context.worker = owner;
    return false;
  }
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  if ((flags & open_flag) == 0) {
    drop_downstream(context, DropReason::network_not_open);
    return false;
  }
  if ((flags & (contract::kFlagMppeRequired | contract::kFlagMppe)) ==
      contract::kFlagMppeRequired) {
    drop_downstream(context, DropReason::clear_text);
    return false;
  }
  return true;
}

}  // namespace pns::dataplane
