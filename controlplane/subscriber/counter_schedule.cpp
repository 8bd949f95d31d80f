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
  const auto found = due_of_.find(session.id());
  if (found == due_of_.end()) return;
  due_.erase({found->second, session.id()});
  due_of_.erase(found);
}

void CounterSchedule::schedule(const Session& session) {
  const Duration interval = interval_of(session);
  if (interval <= Duration{}) return;
  // A part between a half and the whole of the interval, in 1,024 steps.
  const auto step = static_cast<int>((session.id().value * 0x9e37'79b9'7f4a'7c15ULL) >> 54);
  const TimePoint at = loop_.now() + interval / 2 + interval / 2 / 1024 * step;
  due_.emplace(at, session.id());
  due_of_[session.id()] = at;
  timer_.arm(due_.begin()->first);
}

void CounterSchedule::run() {
  const TimePoint now = loop_.now();
  for (int i = 0; i < kReportsPerTurn && !due_.empty() && due_.begin()->first <= now; ++i) {
    const auto [at, id] = *due_.begin();
    due_.erase(due_.begin());
    const Session* const session = sessions_.find(id);
    const Duration interval = session != nullptr ? interval_of(*session) : Duration{};
    if (interval <= Duration{}) {
      due_of_.erase(id);
      continue;
    }
    // After a stall the reports that were missed are not made up for.
    const TimePoint next = std::max(at + interval, now + interval / 2);
    due_.emplace(next, id);
    due_of_[id] = next;
    events_.counters_due(*session);
  }
  if (!due_.empty()) timer_.arm(due_.begin()->first);
}

}  // namespace pns::subscriber
