// SPDX-License-Identifier: BSD-3-Clause
//
// LeaseAssigner: gives an account that has logged in its place, an address, and its networks. The
// places are as many as the grant says, else aaa.sessions_per_user. Where the account's own older
// session stands in the way (it has the fixed address, the networks, the last address of the pool,
// or the last place), aaa.on_limit decides: the new login is refused, or an older session ends and
// the login waits until that one's lease is free, at most kPatience.
//
// A session of another account ends for a login only when it has the fixed address of the login and
// aaa.on_conflict is replace. Event-loop thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/model/auth.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/liveness_tests.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class LeaseAssigner final : public SessionListener, public SessionLeases {
 public:
  // How long a login waits for an older session to leave, the test of its silence included.
  static constexpr Duration kPatience = Milliseconds(1900);
  // Sessions of an account that are tested for one login, those first that were heard longest ago.
  static constexpr std::size_t kMaximumTested = 4;

  LeaseAssigner(Services& services, SessionTable& sessions, CallIds& call_ids,
                LivenessTests& liveness)
      : services_(services), sessions_(sessions), call_ids_(call_ids), liveness_(liveness) {}

  void ask(Session& session, const model::AuthGrant& grant, Done done) override;

  void on_released(const Session& session) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  struct Request {
    Request(control::TimerQueue& timers, std::move_only_function<void()> expired)
        : timer(timers, std::move(expired)) {}
    model::AuthGrant grant;  // without keys
    Done done;
    TimePoint until{};
    std::vector<SessionId> waits_for;      // sessions that are leaving
    std::size_t tests = 0;                 // that have not answered
    EndReason refusal = EndReason::kNone;  // when all of them are alive
    bool tested = false;
    control::Timer timer;
  };
  // The reason why a login gets no lease now.
  struct Obstacle {
    EndReason reason;
    std::vector<Session*> candidates{};  // sessions of the account; one of them would have to end
    std::vector<SessionId> leaving{};    // or wait for one of these, which end already
    bool silent_only = false;            // a session whose peer answers does not end for this
    Session* other_account = nullptr;    // it has the fixed address
  };

  void attempt(SessionId id);
  [[nodiscard]] std::expected<model::Lease, Obstacle> take(const Session& session,
                                                           const model::AuthGrant& grant);
  [[nodiscard]] std::expected<void, pools::PoolError> add_networks(model::Lease& lease,
                                                                   std::string_view pool,
                                                                   const model::AuthGrant& grant);
  [[nodiscard]] Obstacle others_of(const Session& session, std::string_view user,
                                   EndReason reason) const;
  void make_room(SessionId id, Request& request, Obstacle obstacle);
  void on_tested(SessionId id, SessionId tested, LivenessTests::Answer answer);
  void replace(Request& request, Session& older);
  void finish(SessionId id, Result result);

  Services& services_;
  SessionTable& sessions_;
  CallIds& call_ids_;
  LivenessTests& liveness_;
  std::unordered_map<SessionId, std::unique_ptr<Request>> requests_;  // one per session
};

}  // namespace pns::subscriber
