// SPDX-License-Identifier: BSD-3-Clause
//
// DynamicSessions: the sessions of this server for dynamic authorization (RFC 5176): it finds those
// that a request means, ends them, and puts changes of their service into force.
//
// An answer to `done` comes when the store has the change: a successor process keeps it. Event-loop
// thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "controlplane/aaa/authorized_sessions.hpp"
#include "controlplane/resume/journal.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"

namespace pns::subscriber {

class DynamicSessions final : public aaa::AuthorizedSessions,
                              public aaa::ServiceChanger,
                              public SessionListener {
 public:
  // Sessions that one request may have looked at, such as all those behind one outer address.
  static constexpr std::size_t kMostCandidates = 4096;

  using Done = aaa::AuthorizedSessions::Done;
  using End = std::function<void(SessionId, EndReason)>;

  // All outlive this. `end` begins the end of a session that is up.
  DynamicSessions(SessionTable& sessions, resume::Journal& journal, End end)
      : sessions_(sessions), journal_(journal), end_(std::move(end)) {}

  // ---- aaa::AuthorizedSessions
  [[nodiscard]] std::optional<std::vector<SessionId>> find(
      const model::SessionIdentification& wanted, std::size_t most) const override;
  void disconnect(SessionId id, const Classes& classes, Done done) override;

  // ---- aaa::ServiceChanger
  [[nodiscard]] std::optional<model::AuthorizationRefusal> objection(
      SessionId id, const model::ServiceChange& change) const override;
  void apply(SessionId id, const model::ServiceChange& change, Done done) override;

  // ---- SessionListener
  void on_created(const Session& session) override { note_prefix(session); }
  void on_changed(const Session& session, const SessionChange& change) override;
  void on_ended(const Session& session, const SessionEnd& end) override;
  void on_released(const Session& session) override;

 private:
  [[nodiscard]] std::vector<Session*> candidates(const model::SessionIdentification& wanted) const;
  [[nodiscard]] std::vector<Session*> of_prefix(const Ipv6Address& address) const;
  void note_prefix(const Session& session);
  void forget_prefix(SessionId id);
  // The part of a change that the dataplane has nothing to do with.
  void apply_rest(SessionId id, const model::ServiceChange& change, Done done);
  // Calls it when everything of this turn is stored.
  void when_stored(std::vector<Done> all);

  SessionTable& sessions_;
  resume::Journal& journal_;
  End end_;
  std::unordered_map<SessionId, std::vector<Done>> ending_;  // until they are released
  // The /64s of sessions, by their upper halves, and the way back.
  std::unordered_map<std::uint64_t, SessionId> by_prefix_;
  std::unordered_map<SessionId, std::uint64_t> prefix_of_;
};

}  // namespace pns::subscriber
