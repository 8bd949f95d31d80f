// SPDX-License-Identifier: BSD-3-Clause
//
// CounterSchedule: says when an interim report of a session's counters is due, for listeners such
// as accounting. The first report of a session comes after a part of the interval that depends on
// its id, so that sessions which opened together do not report together. Event-loop thread only.
#pragma once

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/session_deadlines.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_table.hpp"

namespace pns::subscriber {

class CounterSchedule final : public SessionListener {
 public:
  CounterSchedule(control::EventLoop& loop, SessionTable& sessions, SessionEvents& events);

  // Every open session reports once in each interval, or in one of its own that its conditions
  // say; 0: none does, and this costs nothing.
  // Sessions that are open already keep the schedule that they have, so call it before take-over.
  void set_interval(Duration interval) noexcept { interval_ = interval; }

  // Between two reports of this session; 0: it has none.
  [[nodiscard]] Duration interval_of(const Session& session) const;

  void on_created(const Session& session) override;
  void on_opened(const Session& session) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  void schedule(const Session& session);
  void run();

  control::EventLoop& loop_;
  SessionTable& sessions_;
  SessionEvents& events_;
  control::Timer timer_;
  Duration interval_{0};
  SessionDeadlines due_;
};

}  // namespace pns::subscriber
