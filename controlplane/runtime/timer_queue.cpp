// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/runtime/timer_queue.hpp"

#include <utility>

namespace pns::control {

std::optional<TimePoint> TimerQueue::next() const noexcept {
  if (heap_.empty()) return std::nullopt;
  return heap_.front().at;
}

std::size_t TimerQueue::run_due(TimePoint now, std::size_t limit) {
  std::size_t ran = 0;
  while (ran < limit && !heap_.empty() && heap_.front().at <= now) {
    Timer& timer = *heap_.front().timer;
    remove(timer);
    ++ran;
    // The callback may destroy the timer and with it the function object that runs.
    auto expired = std::move(timer.expired_);
    bool destroyed = false;
    timer.destroyed_ = &destroyed;
    expired();
    if (destroyed) continue;
    timer.destroyed_ = nullptr;
    timer.expired_ = std::move(expired);
  }
  return ran;
}

void TimerQueue::arm(Timer& timer, TimePoint at) {
  if (timer.place_ == Timer::kNowhere) {
    timer.place_ = heap_.size();
    heap_.push_back({at, &timer});
    move_up(timer.place_);
  } else {
    const TimePoint before = std::exchange(heap_[timer.place_].at, at);
    if (at == before) return;
    at < before ? move_up(timer.place_) : move_down(timer.place_);
  }
  if (timer.place_ == 0 && earlier_) earlier_(at);
}

void TimerQueue::remove(Timer& timer) noexcept {
  if (timer.place_ == Timer::kNowhere) return;
  const std::size_t place = std::exchange(timer.place_, Timer::kNowhere);
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.timer == &timer) return;
  put(place, last);
  move_up(place);
  move_down(last.timer->place_);
}

void TimerQueue::put(std::size_t place, Entry entry) noexcept {
  heap_[place] = entry;
  entry.timer->place_ = place;
}

void TimerQueue::move_up(std::size_t place) noexcept {
  const Entry entry = heap_[place];
  while (place != 0) {
    const std::size_t parent = (place - 1) / 2;
    if (heap_[parent].at <= entry.at) break;
    put(place, heap_[parent]);
    place = parent;
  }
  put(place, entry);
}

void TimerQueue::move_down(std::size_t place) noexcept {
  const Entry entry = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].at < heap_[child].at) ++child;
    if (entry.at <= heap_[child].at) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, entry);
}

Timer::~Timer() {
  queue_.remove(*this);
  if (destroyed_ != nullptr) *destroyed_ = true;
}

}  // namespace pns::control
