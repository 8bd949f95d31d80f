// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/deaths.hpp"

#include "tests/loadgen/pace.hpp"

namespace pns::loadgen {

void Deaths::begin(Lines& lines, TimePoint now) {
  const Death& death = site_.options.death;
  begun_ = now;
  for (std::size_t i = first_of_share(lines.size(), death.share); i < lines.size(); ++i) {
    Session& session = *site_.sessions[i];
    if (session.stage() != Stage::kUp) continue;
    dead_.push_back({session, lines.dialer(i)});
    lines.dialer(i).die(*death.kind, now);
  }
  left_ = dead_.size();
}

void Deaths::tend(Dead& dead, TimePoint now) {
  const Death& death = site_.options.death;
  if (!dead.gone_at) {
    if (now - begun_ >= death.time) dead.dialer.close();
    if (!dead.dialer.over()) return;
    dead.gone_at = now;
    if (death.stray_gre == 0) --left_;
  }
  while (dead.strays < death.stray_gre &&
         now >= *dead.gone_at + death.stray_time * (dead.strays + 1) / death.stray_gre) {
    dead.session.send_stray(now);
    ++strays_;
    if (++dead.strays == death.stray_gre) --left_;
  }
}

void Deaths::on_tick(TimePoint now) {
  if (over()) return;
  for (Dead& dead : dead_) tend(dead, now);
}

Times Deaths::until_closed() const {
  Times times;
  for (const Dead& dead : dead_)
    if (const auto closed = dead.dialer.closed_by_server()) times.add(*closed - begun_);
  return times;
}

}  // namespace pns::loadgen
