// SPDX-License-Identifier: BSD-3-Clause
//
// The listeners that every server has: counters, log lines, the store's records and the list of the
// calls that ended last. Event-loop thread only.
#pragma once

#include <cstddef>
#include <deque>
#include <utility>
#include <vector>

#include "controlplane/model/statistics.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/source_limits.hpp"
#include "controlplane/subscriber/views.hpp"

namespace pns::subscriber {

// Counts sessions by phase and kind, stages of set-ups, set-up times and ends.
class StatisticsListener final : public SessionListener {
 public:
  explicit StatisticsListener(model::Statistics& statistics) : statistics_(statistics) {}
  void on_created(const Session& session) override;
  void on_opened(const Session& session) override;
  void on_changed(const Session& session, const SessionChange& change) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  void count_up(const Session& session);
  model::Statistics& statistics_;
};

// Logs the opening and the end of each call. Ends of calls that were never open are limited,
// because a peer can cause them without a password.
class LogListener final : public SessionListener {
 public:
  LogListener(const control::EventLoop& loop, SourceLimits& limits)
      : loop_(loop), limits_(limits) {}
  void on_opened(const Session& session) override;
  void on_ended(const Session& session, const SessionEnd& end) override;

 private:
  const control::EventLoop& loop_;
  SourceLimits& limits_;
};

// Writes the record of each session that a successor process can resume.
class StoreListener final : public SessionListener {
 public:
  explicit StoreListener(Services& services) : services_(services) {}
  void on_changed(const Session& session, const SessionChange& change) override;
  void on_ended(const Session& session, const SessionEnd& end) override;
  // Writes or erases the record as the session is now.
  void store(const Session& session);
  // The call has ended: its record goes, and its Call ID is in quarantine from now on if it has
  // carried GRE.
  void erase(const Session& session);

 private:
  Services& services_;
};

// The 256 calls that ended last.
class LastEnds final : public SessionListener {
 public:
  explicit LastEnds(const control::EventLoop& loop) : loop_(loop) {}
  void on_ended(const Session& session, const SessionEnd& end) override;
  [[nodiscard]] std::vector<EndView> views() const;

 private:
  const control::EventLoop& loop_;
  std::deque<std::pair<TimePoint, EndView>> ends_;  // the latest first
};

}  // namespace pns::subscriber
