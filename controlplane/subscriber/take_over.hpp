// SPDX-License-Identifier: BSD-3-Clause
//
// TakeOver: carries on where an earlier control process was killed. A call goes on when session
// memory, the store and its connection agree on it; every other call ends, and its slot becomes an
// orphan that the installer removes. Records that are right already are not written again.
// Event-loop thread only.
#pragma once

#include <unordered_map>
#include <vector>

#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/drain.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "controlplane/subscriber/store_contents.hpp"
#include "pns/contract/supervisor_protocol.hpp"

namespace pns::subscriber {

class TakeOver {
 public:
  struct Parts {
    Services& services;
    SessionTable& sessions;
    CallIds& call_ids;
    CallControl& calls;
    StoreContents& contents;
    Drain& drain;
  };

  explicit TakeOver(const Parts& parts) : parts_(parts) {}

  // Takes over the connections that the supervisor kept. Call once, before anything else.
  void run(std::vector<contract::Grants::Connection> granted);
  // Offers again the requests that the earlier process had read and not answered; once.
  void repeat_offers();

 private:
  using Calls = std::unordered_map<OurCallId, pptp::KnownCall>;
  void adopt_connections(std::vector<contract::Grants::Connection> granted,
                         const std::vector<resume::StoredConnection>& stored);
  [[nodiscard]] bool adopt(const resume::StoredSession& stored);
  void quarantine_call_ids(const std::vector<resume::RestingCallId>& resting);
  void end_unfinished_calls(Connection& connection);

  Parts parts_;
  std::vector<std::shared_ptr<Connection>> adopted_;
  std::unordered_map<ConnectionId, Calls> calls_;  // as the store has them
  std::vector<bool> is_orphan_;                    // by slot
  std::vector<SlotId> orphans_;
  // Numbers of the offers that the earlier process had read and not answered.
  std::unordered_map<ConnectionId, std::vector<std::uint32_t>> unanswered_;
  std::size_t sessions_adopted_ = 0;
};

}  // namespace pns::subscriber
