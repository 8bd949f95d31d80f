// SPDX-License-Identifier: BSD-3-Clause
//
// SessionLimits: ends sessions whose time, idle time or quota is over (model::ServiceLimits), each
// within a second. A session with a time waits in one ordered set. A session with an idle time or a
// quota is looked at twice a second, in one of kSlices turns. Sessions without limits cost nothing
// here. Event-loop thread only.
//
// Idle time and quota come from the counters of session memory, which count inner packets that the
// dataplane has forwarded: LCP, CCP and the like are no traffic. After a restart of the control
// process the idle time begins anew; the other limits go on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class SessionLimits final : public SessionListener {
 public:
  // Ends these sessions, a slice at a time.
  using End = std::function<void(const std::vector<Session*>& sessions, EndReason reason)>;

  SessionLimits(control::EventLoop& loop, SessionTable& sessions, End end);

  void on_created(const Session& session) override;
  void on_opened(const Session& session) override;
  void on_changed(const Session& session, const SessionChange& change) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  static constexpr std::uint32_t kSlices = 16;

  struct Meter {
    SlotId slot;
    std::uint64_t packets = 0;  // of both directions, at the last look
    TimePoint active{};         // when they were seen to have changed
  };
  using Meters = std::unordered_map<SessionId, Meter>;

  void watch(const Session& session);
  void forget(const Session& session);
  void set_end(SessionId id, TimePoint at);
  [[nodiscard]] Meters& meters_of(const Session& session);
  void end_overdue();
  void look();
  // kNone: no limit of the session is reached.
  [[nodiscard]] EndReason judge(const Session& session, Meter& meter) const;

  control::EventLoop& loop_;
  SessionTable& sessions_;
  End end_;
  control::Timer end_timer_;
  control::Timer look_timer_;
  std::set<std::pair<TimePoint, SessionId>> ends_;
  std::unordered_map<SessionId, TimePoint> end_of_;
  std::array<Meters, kSlices> meters_;
  std::uint32_t next_slice_ = 0;
};

}  // namespace pns::subscriber
