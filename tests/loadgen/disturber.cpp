// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/disturber.hpp"

#include <algorithm>

#include "tests/loadgen/pace.hpp"

namespace pns::loadgen {

template <class Act>
void Disturber::for_each_hit(Act&& act) {
  auto& sessions = site_.sessions;
  for (std::size_t i = first_of_share(sessions.size(), site_.options.disturbed_share);
       i < sessions.size(); ++i)
    act(*sessions[i]);
}

void Disturber::on_time(TimePoint now) {
  const auto& all = site_.options.disturbances;
  while (next_ < all.size()) {
    const Disturbance& due = all[next_];
    if (!in_outage_ && now < began_ + due.begin) return;
    if (!in_outage_ && due.gap == 0) {
      for_each_hit([&due](Session& session) { session.cut_line(due.upstream, due.downstream); });
      in_outage_ = true;
    }
    if (now < began_ + due.end) return;
    for_each_hit([&](Session& session) {
      if (session.mend_line(next_, due.gap, now)) ++hit_[next_];
    });
    in_outage_ = false;
    ++next_;
  }
}

std::vector<Aftermath> Disturber::aftermaths() const {
  std::vector<Aftermath> out(hit_.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i].sessions = out[i].never_back = hit_[i];
  for (const auto& session : site_.sessions)
    for (const Recovery& recovery : session->recoveries()) {
      Aftermath& after = out[recovery.disturbance()];
      after.sent += recovery.sent();
      after.lost += recovery.lost();
      after.lost_by_session.push_back(recovery.lost());
      after.first_answer.add(recovery.first_answer());
      const auto back = recovery.back();
      after.back.add(back);
      if (recovery.sent() != 0 && recovery.lost() == recovery.sent()) ++after.unanswered;
      if (session->stage() == Stage::kFailed) continue;
      if (recovery.sent() == 0) ++after.silent;
      if (back || recovery.sent() == 0) --after.never_back;
    }
  for (Aftermath& after : out) std::ranges::sort(after.lost_by_session);
  return out;
}

}  // namespace pns::loadgen
