// SPDX-License-Identifier: BSD-3-Clause
//
// SubscriberNetworks: brings the networks behind subscribers into force. The dataplane gets those
// of a session whenever its network protocols open or close and whenever DHCPv6 gives a prefix or
// takes it back, and all of them when it has come back: session memory does not hold them
// (docs/decisions/0023). The supervisor puts those that the
// dataplane has taken into the kernel's routing table, and takes them out when the call ends.
//
// Commands wait in a queue of sessions, so that all sites of a server may come at once. Event-loop
// thread only. Memory: one entry for each session with networks.
#pragma once

#include <cstddef>
#include <deque>
#include <unordered_map>
#include <unordered_set>

#include "controlplane/dataplane_link/dataplane_commands.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/networks.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

class SubscriberNetworks final : public SessionListener {
 public:
  SubscriberNetworks(Services& services, SessionTable& sessions);

  // The dataplane has attached, and may know no network.
  void on_attached();

  void on_created(const Session& session) override;
  void on_changed(const Session& session, const SessionChange& change) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  void enqueue(SessionId id);
  void send_some();
  // False: the command could not be sent.
  [[nodiscard]] bool send(Session& session);
  void on_answer(SessionId id, const Networks& networks,
                 const control::DataplaneCommands::Reply& reply);
  // Tells the supervisor how this session's networks differ from those of before.
  void announce(SessionId id, const Networks& networks);

  Services& services_;
  SessionTable& sessions_;
  control::Timer retry_;
  std::deque<SessionId> queue_;              // whose networks must be sent
  std::unordered_set<SessionId> is_queued_;  // of queue_
  std::size_t in_flight_ = 0;
  std::unordered_map<SessionId, Networks> announced_;  // to the supervisor; none is empty
  log::RateLimit refusal_log_{1, Seconds(1)};
};

}  // namespace pns::subscriber
