// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_health.hpp"

#include <algorithm>
#include <utility>

namespace pns::aaa {

void RadiusHealth::on_sent(TimePoint now) noexcept {
  if (!silent_since_) silent_since_ = now;
}

bool RadiusHealth::on_answer() noexcept {
  unanswered_ = 0;
  silent_since_.reset();
  probe_lost_ = false;
  return std::exchange(state_, State::kAlive) != State::kAlive;
}

void RadiusHealth::on_lost(TimePoint sent_at, TimePoint now) noexcept {
  if (!silent_since_ || sent_at < *silent_since_) return;
  unanswered_ = std::min(unanswered_ + 1, settings_.count);
  if (state_ != State::kAlive || unanswered_ < settings_.count) return;
  state_ = State::kSuspect;
  probe_lost_ = !settings_.probes;
  next_probe_ = now;
}

bool RadiusHealth::on_probe_answer(TimePoint now) noexcept {
  probing_ = false;
  if (state_ == State::kAlive) return false;
  (void)on_answer();
  unanswered_ = settings_.count - 1;
  silent_since_ = now;
  return true;
}

void RadiusHealth::on_probe_lost(TimePoint now) noexcept {
  probing_ = false;
  probe_lost_ = true;
  next_probe_ = std::max(next_probe_, now);
}

std::optional<TimePoint> RadiusHealth::next() const noexcept {
  if (state_ == State::kAlive) return std::nullopt;
  std::optional<TimePoint> at;
  const auto consider = [&at](TimePoint moment) { at = at ? std::min(*at, moment) : moment; };
  if (state_ == State::kSuspect && probe_lost_) consider(*silent_since_ + settings_.time);
  if (settings_.probes ? !probing_ : state_ == State::kDead) consider(next_probe_);
  return at;
}

RadiusHealth::Todo RadiusHealth::advance(TimePoint now) noexcept {
  if (state_ == State::kAlive) return Todo::kNothing;
  if (state_ == State::kSuspect && probe_lost_ && now >= *silent_since_ + settings_.time) {
    state_ = State::kDead;
    next_probe_ = now + settings_.interval;
    return Todo::kDied;
  }
  if (now < next_probe_) return Todo::kNothing;
  if (settings_.probes) {
    if (probing_) return Todo::kNothing;
    probing_ = true;
    next_probe_ = now + settings_.interval;
    return Todo::kProbe;
  }
  if (state_ != State::kDead) return Todo::kNothing;
  // Nobody can ask it but a login: the next one is the probe.
  (void)on_answer();
  unanswered_ = settings_.count - 1;
  silent_since_ = now;
  return Todo::kRevived;
}

}  // namespace pns::aaa
