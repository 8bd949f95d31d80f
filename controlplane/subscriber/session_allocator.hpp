// SPDX-License-Identifier: BSD-3-Clause
//
// SessionAllocator: all that a session must have, taken when it begins and free again when the
// dataplane has let go of it: an id, a slot of session memory, a Call ID, a place in the tables,
// and the lease that it was given since. Event-loop thread only.
#pragma once

#include <expected>

#include "controlplane/resume/records.hpp"
#include "controlplane/subscriber/connection.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_context.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/end_reason.hpp"

namespace pns::subscriber {

class SessionAllocator {
 public:
  // These outlive this.
  SessionAllocator(const SessionContext& context, SessionTable& sessions, SessionIdSource& ids)
      : context_(context), sessions_(sessions), ids_(ids) {}

  // A session in a free slot with a Call ID of its own; not installed. `call` says its kind, and
  // what the peer has said. Error: what there is none of.
  [[nodiscard]] std::expected<Session*, EndReason> make(const Connection& connection,
                                                        Session::Call call, Session::State state);
  // Adds a session that an earlier process left. Null: its Call ID or its lease is taken.
  [[nodiscard]] Session* adopt(const Session::Call& call, const resume::StoredSession& stored);
  // No packet can meet the session any more. It is gone once nothing else keeps it.
  void release(Session& session);
  // The published workers of the dataplane may have changed, and so the owners of the calls.
  void read_steering();

 private:
  Session& add(std::shared_ptr<Session> session);

  const SessionContext& context_;
  SessionTable& sessions_;
  SessionIdSource& ids_;
};

}  // namespace pns::subscriber
