// SPDX-License-Identifier: BSD-3-Clause
//
// PeerCallIds: one session alone may use a Call ID of one peer. (Peer address, peer Call ID) names
// one client, whose GRE the dataplane sends to it. A session that is alive keeps its id; one that
// is not makes way for the call that the same peer opens in its place (docs/decisions/0018).
// Event-loop thread only.
#pragma once

#include <functional>
#include <optional>

#include "controlplane/subscriber/connection.hpp"
#include "controlplane/subscriber/liveness_tests.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"

namespace pns::subscriber {

class PeerCallIds {
 public:
  PeerCallIds(SessionTable& sessions, LivenessTests& liveness)
      : sessions_(sessions), liveness_(liveness) {}

  // Makes way for a call of this connection's peer with this Call ID. kNone: no session is in its
  // way. Another reason: the call is refused. Empty: the session in its way is asked whether it
  // lives, and `answered` is called with kNone or a reason within LivenessTests::kPatience.
  using Answered = std::function<void(EndReason)>;
  [[nodiscard]] std::optional<EndReason> make_room(const Connection& connection,
                                                   PeerCallId peer_call_id, Answered answered);

 private:
  SessionTable& sessions_;
  LivenessTests& liveness_;
};

}  // namespace pns::subscriber
