// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/counter_schedule.hpp"

#include <algorithm>

namespace pns::subscriber {
namespace {

// Reports of one turn of the event loop.
constexpr int kReportsPerTurn = 256;

}  // namespace

CounterSchedule::CounterSchedule(control::EventLoop& loop, SessionTable& sessions,
                                 SessionEvents& events)
    : loop_(loop), sessions_(sessions), events_(events), timer_(loop.timers(), [this] { run(); }) {}

void CounterSchedule::on_created(const Session& session) {
  if (session.link().opened()) schedule(session);  // taken over
}

void CounterSchedule::on_opened(const Session& session) { schedule(session); }

// Its own, if it has one. Without reports of any session there are none.
Duration CounterSchedule::interval_of(const Session& session) const {
  const model::SessionConditions* const conditions = session.conditions();
  if (interval_ <= Duration{} || conditions == nullptr || !conditions->interim_interval)
    return interval_;
  return *conditions->interim_interval;
}

void CounterSchedule::on_ended(const Session& session, const SessionEnd&) {
  due_.remove(session.id());
}

void CounterSchedule::schedule(const Session& session) {
  const Duration interval = interval_of(session);
  if (interval <= Duration{}) return;
  // A part between a half and the whole of the interval, in 1,024 steps.
  const auto step = static_cast<int>((session.id().value * 0x9e37'79b9'7f4a'7c15ULL) >> 54);
  const TimePoint at = loop_.now() + interval / 2 + interval / 2 / 1024 * step;
  due_.set(session.id(), at);
  timer_.arm(*due_.next());
}

void CounterSchedule::run() {
  const TimePoint now = loop_.now();
  for (int i = 0; i < kReportsPerTurn; ++i) {
    const auto due = due_.take_due(now);
    if (!due) break;
    const auto [at, id] = *due;
    const Session* const session = sessions_.find(id);
    const Duration interval = session != nullptr ? interval_of(*session) : Duration{};
    if (interval <= Duration{}) continue;
    // After a stall the reports that were missed are not made up for.
    due_.set(id, std::max(at + interval, now + interval / 2));
    events_.counters_due(*session);
  }
  if (const auto next = due_.next()) timer_.arm(*next);
}

}  // namespace pns::subscriber
