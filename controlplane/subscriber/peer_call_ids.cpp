// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/peer_call_ids.hpp"

#include <utility>

namespace pns::subscriber {

// The question travels on the control connection. One in the tunnel would reach the new call, whose
// packets carry lower sequence numbers.
std::optional<EndReason> PeerCallIds::make_room(const Connection& connection,
                                                PeerCallId peer_call_id, Answered answered) {
  Session* older = sessions_.find(connection.local(), connection.peer(), peer_call_id);
  if (older == nullptr || older->state() == Session::State::kRemoving || older->withdrawn())
    return EndReason::kNone;
  if (older->state() != Session::State::kUp) return EndReason::peer_call_id_busy;
  if (older->end_reason() != EndReason::kNone) {
    older->link().replace();
    return EndReason::kNone;
  }
  const auto decide = [this, id = older->id(),
                       answered = std::move(answered)](LivenessTests::Answer answer) {
    if (answer == LivenessTests::Answer::kAlive) return answered(EndReason::peer_call_id_busy);
    if (Session* const silent = sessions_.find(id)) silent->link().replace();
    answered(EndReason::kNone);
  };
  if (!liveness_.ask(*older, LivenessTests::Way::kControlConnection, decide))
    return EndReason::peer_call_id_busy;
  return std::nullopt;
}

}  // namespace pns::subscriber
