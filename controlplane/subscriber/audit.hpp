// SPDX-License-Identifier: BSD-3-Clause
//
// Audit: whether session memory, the store, the pools, the Call IDs and the tables of this process
// say the same of every call. It looks at a few sessions, connections or records in each turn of
// the event loop. Calls come and go between the turns, so it compares sums only where one turn has
// both sides of them. Event-loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "controlplane/resume/journal.hpp"
#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "controlplane/subscriber/views.hpp"

namespace pns::subscriber {

class Audit {
 public:
  Audit(const Services& services, const SessionTable& sessions, const CallIds& call_ids,
        const ConnectionTable& connections, const Installer& installer)
      : services_(services),
        sessions_(sessions),
        call_ids_(call_ids),
        connections_(connections),
        installer_(installer) {}

  // The part of one turn. False: it was the last.
  bool turn();
  // After the last turn.
  [[nodiscard]] const AuditView& view() const noexcept { return view_; }

 private:
  enum class Part : std::uint8_t { kSessions, kConnections, kStore, kIndexes, kSums, kDone };

  void found(std::string_view what, std::string detail);
  // Each returns false after its last turn.
  bool audit_slots();
  bool audit_connections();
  bool audit_store();
  bool audit_indexes();
  void audit_sums();

  void audit_session(const Session& session);
  void audit_record(const Session& session);
  void audit_connection(const Connection& connection);
  void audit_stored(const resume::StoredSession& stored);
  void audit_stored(const resume::StoredConnection& stored);
  // Whether `id`, seen earlier, is still a session for which `is_so` holds.
  [[nodiscard]] bool is_still(SessionId id, auto is_so) const;

  const Services& services_;
  const SessionTable& sessions_;
  const CallIds& call_ids_;
  const ConnectionTable& connections_;
  const Installer& installer_;
  Part part_ = Part::kSessions;
  std::uint32_t next_slot_ = 0;
  ConnectionId next_connection_;
  std::optional<resume::Key> next_record_;
  SessionTable::IndexPlace next_entry_;
  AuditView view_;
  std::map<std::pair<Ipv4Address, OurCallId>, SessionId> by_call_id_;
  std::map<Ipv4Address, SessionId> by_address_;
};

}  // namespace pns::subscriber
