// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/store_contents.hpp"

#include <utility>
#include <vector>

namespace pns::subscriber {

StoreContents::StoreContents(Services& services, SessionTable& sessions, CallIds& call_ids,
                             ConnectionTable& connections, StoreListener& listener)
    : services_(services),
      sessions_(sessions),
      call_ids_(call_ids),
      connections_(connections),
      listener_(listener) {}

void StoreContents::rewrite() {
  connections_.store_all();
  std::as_const(sessions_).for_each([this](const Session& session) {
    if (session.state() == Session::State::kUp)
      listener_.store(session);
    else if (session.state() == Session::State::kRemoving)
      listener_.erase(session);
    else
      services_.journal.erase(session.call().slot);
  });
  for (const auto& id : call_ids_.quarantined(services_.loop.now()))
    services_.journal.put(resume::RestingCallId{id.local, id.id, monotonic_ns(id.until)});
  erase_unknown();
}

void StoreContents::erase_unknown(const std::vector<resume::Key>& obsolete) {
  std::vector<ConnectionId> connections;
  std::as_const(connections_).for_each([&](const Connection& connection) {
    connections.push_back(connection.id());
  });
  std::vector<SlotId> sessions;
  std::as_const(sessions_).for_each(
      [&](const Session& session) { sessions.push_back(session.call().slot); });
  services_.journal.keep_only(connections, sessions, obsolete);
}

}  // namespace pns::subscriber
