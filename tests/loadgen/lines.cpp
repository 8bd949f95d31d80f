// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/lines.hpp"

#include <algorithm>
#include <string>

namespace pns::loadgen {
namespace {

constexpr auto kChurnPause = Milliseconds(100);  // from the farewell to the next dial, on average

}  // namespace

void Lines::launch(TimePoint now) {
  (void)site_.new_session(lines_.size() % site_.sources.size());
  lines_.emplace_back();
  dial(lines_.size() - 1, now);
}

void Lines::dial(std::size_t number, TimePoint now) {
  Line& line = lines_[number];
  line.dialer =
      std::make_unique<Dialer>(site_, *site_.sessions[number], site_.histories[number].source);
  line.before.reset();
  line.dialer->start(now);
}

void Lines::dial_later(std::size_t number, std::optional<TimePoint> first_try, Duration wait,
                       TimePoint now) {
  Line& line = lines_[number];
  line.before = site_.renew_session(static_cast<std::uint32_t>(number));
  line.dial_at = now + jittered(wait, site_.random);
  site_.sessions[number]->wait(first_try);
}

void Lines::on_failed(std::size_t number, TimePoint now) {
  Line& line = lines_[number];
  const Session& session = *site_.sessions[number];
  const Options& options = site_.options;
  line.given_up = session.lost() ? !options.redial : line.tries >= options.retries;
  if (line.given_up) return;
  line.dialer->hang_up(now);
  if (session.lost()) {
    line.tries = 0;
    return dial_later(number, std::nullopt, options.retry_wait, now);
  }
  ++line.tries;
  ++site_.retries;
  site_.histories[number].retried = true;
  ++site_.retried_for[std::string(name_of(session.failed_stage()))][session.failure()];
  dial_later(number, session.first_try(), options.retry_wait, now);
}

void Lines::tend(std::size_t number, TimePoint now) {
  Line& line = lines_[number];
  line.dialer->on_tick(now);
  if (closing_ || line.given_up) return;
  switch (site_.sessions[number]->stage()) {
    case Stage::kWaiting:
      if (now >= line.dial_at && line.dialer->over()) dial(number, now);
      return;
    case Stage::kFailed:
      return on_failed(number, now);
    case Stage::kDone:  // churned
      line.tries = 0;
      return dial_later(number, std::nullopt, kChurnPause, now);
    default:
      return;
  }
}

void Lines::on_tick(TimePoint now) {
  for (std::size_t i = 0; i < lines_.size(); ++i) tend(i, now);
  if (!churn_) return;
  for (std::uint64_t due = churn_->take_due(now); due != 0; --due) churn_one(now);
}

void Lines::start_churning(TimePoint now) {
  if (site_.options.churn > 0) churn_.emplace(site_.options.churn, now);
}

// The first one that is up from a random number on.
void Lines::churn_one(TimePoint now) {
  const std::size_t first = first_of_share(lines_.size(), site_.options.churn_share);
  const std::size_t count = lines_.size() - first;
  if (count == 0) return;
  const std::size_t start = site_.random.next_u32() % count;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t number = first + (start + i) % count;
    if (site_.sessions[number]->stage() != Stage::kUp) continue;
    ++site_.churned;
    return lines_[number].dialer->hang_up(now);
  }
}

void Lines::stop_dialling() {
  closing_ = true;
  for (std::size_t i = 0; i < lines_.size(); ++i)
    if (site_.sessions[i]->stage() == Stage::kWaiting) site_.sessions[i]->die();
}

void Lines::hang_up(TimePoint now) {
  stop_dialling();
  for (const Line& line : lines_) line.dialer->hang_up(now);
}

bool Lines::over() const {
  return std::ranges::all_of(lines_, [](const Line& line) { return line.dialer->over(); });
}

}  // namespace pns::loadgen
