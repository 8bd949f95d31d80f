// SPDX-License-Identifier: BSD-3-Clause
//
// SessionReports: tells the accountant what happens to sessions. Event-loop thread only.
#pragma once

#include "controlplane/accounting/accountant.hpp"
#include "controlplane/accounting/session_facts.hpp"
#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "pns/base/time.hpp"

namespace pns::accounting {

// Precondition: an account has logged in on the session.
[[nodiscard]] SessionFacts facts_of(const subscriber::Session& session);
// As the dataplane has counted until now. They can be read until on_ended() returns.
[[nodiscard]] SessionCounters counters_of(const subscriber::Session& session, TimePoint now);

class SessionReports final : public subscriber::SessionListener {
 public:
  // Both outlive this.
  SessionReports(const control::EventLoop& loop, Accountant& accountant)
      : loop_(loop), accountant_(accountant) {}

  void on_created(const subscriber::Session& session) override;
  void on_opened(const subscriber::Session& session) override;
  void on_counters_due(const subscriber::Session& session) override;
  void on_ended(const subscriber::Session& session, const subscriber::SessionEnd& end) override;

 private:
  const control::EventLoop& loop_;
  Accountant& accountant_;
};

}  // namespace pns::accounting
