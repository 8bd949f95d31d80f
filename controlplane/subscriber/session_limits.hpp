// SPDX-License-Identifier: BSD-3-Clause
//
// SessionLimits: ends sessions whose time, idle time or quota is over (model::ServiceLimits), each
// within a second. A session whose account asks for that logs in again at the end of its time
// (RFC 2865 §5.29). A session with a time waits in one ordered set. A session with an idle time or
// a quota is looked at twice a second, in one of kSlices turns. Sessions without limits cost
// nothing here. Event-loop thread only.
//
// Idle time and quota come from the counters of session memory, which count inner packets that the
// dataplane has forwarded: LCP, CCP and the like are no traffic. After a restart of the control
// process the idle time begins anew; the other limits go on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/session_deadlines.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::subscriber {

class SessionLimits final : public SessionListener {
 public:
  // Ends these sessions, a slice at a time.
  using End = std::function<void(const std::vector<Session*>& sessions, EndReason reason)>;

  // `loop`, `memory` and `sessions` outlive this.
  SessionLimits(control::EventLoop& loop, const contract::SessionMemory& memory,
                SessionTable& sessions, End end);

  void on_created(const Session& session) override;
  void on_opened(const Session& session) override;
  void on_changed(const Session& session, const SessionChange& change) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  static constexpr std::uint32_t kSlices = 16;

  // All that a look needs but the counters, so that it costs few cache lines.
  struct Meter {
    SlotId slot;
    Duration idle_time{};  // these are the greatest values where there is no limit
    std::uint64_t upstream = 0;
    std::uint64_t downstream = 0;
    std::uint64_t total = 0;
    std::uint64_t packets = 0;  // of both directions, at the last look
    TimePoint active{};         // when they were seen to have changed
  };

  void watch(const Session& session);
  void forget(const Session& session);
  [[nodiscard]] std::vector<Meter>& slice_of(SlotId slot) noexcept {
    return meters_[slot.value % kSlices];
  }
  // Null: the session has no meter.
  [[nodiscard]] Meter* meter_of(const Session& session) noexcept;
  void set_meter(const Session& session, const model::ServiceLimits& limits);
  void remove_meter(const Session& session);
  void arm_end_timer();
  void end_overdue();
  void look();
  // kNone: no limit of the session is reached.
  [[nodiscard]] EndReason judge(Meter& meter) const;

  control::EventLoop& loop_;
  const contract::SessionMemory& memory_;
  SessionTable& sessions_;
  End end_;
  control::Timer end_timer_;
  control::Timer look_timer_;
  SessionDeadlines ends_;
  std::array<std::vector<Meter>, kSlices> meters_;
  std::vector<std::uint32_t> places_;  // by slot, in its slice, from 1; empty until there is one
  std::uint32_t next_slice_ = 0;
};

}  // namespace pns::subscriber
