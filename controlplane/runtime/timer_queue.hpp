// SPDX-License-Identifier: BSD-3-Clause
//
// TimerQueue: the timers of one event loop in a binary heap. Time is a parameter, so that a test
// passes hours in microseconds. Arming and cancelling cost O(log n) and allocate nothing.
//
// One thread. A callback may arm, cancel and destroy any timer, its own included.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include "pns/base/time.hpp"

namespace pns::control {

class Timer;

class TimerQueue {
 public:
  TimerQueue() = default;
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;

  // The earliest deadline; empty: no timer is armed.
  [[nodiscard]] std::optional<TimePoint> next() const noexcept;
  // Runs the callbacks of timers that are due, the earliest first, at most `limit` of them.
  // Result: how many ran.
  std::size_t run_due(TimePoint now, std::size_t limit);
  // `changed` is called when an armed timer becomes the earliest.
  void on_earlier(std::function<void(TimePoint)> changed) { earlier_ = std::move(changed); }

 private:
  friend class Timer;
  struct Entry {
    TimePoint at;
    Timer* timer;
  };
  void arm(Timer& timer, TimePoint at);
  void remove(Timer& timer) noexcept;
  void move_up(std::size_t place) noexcept;
  void move_down(std::size_t place) noexcept;
  void put(std::size_t place, Entry entry) noexcept;

  std::vector<Entry> heap_;
  std::function<void(TimePoint)> earlier_;
};

// One timer of a TimerQueue, which must outlive it. Its callback is given once and runs each time
// that the timer expires.
class Timer {
 public:
  Timer(TimerQueue& queue, std::move_only_function<void()> expired)
      : queue_(queue), expired_(std::move(expired)) {}
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  // Arms it, or moves its deadline.
  void arm(TimePoint at) { queue_.arm(*this, at); }
  void arm(std::optional<TimePoint> at) { at ? arm(*at) : cancel(); }
  void cancel() noexcept { queue_.remove(*this); }
  [[nodiscard]] bool is_armed() const noexcept { return place_ != kNowhere; }

 private:
  friend class TimerQueue;
  static constexpr std::size_t kNowhere = std::numeric_limits<std::size_t>::max();

  TimerQueue& queue_;
  std::move_only_function<void()> expired_;
  std::size_t place_ = kNowhere;  // in the heap
  bool* destroyed_ = nullptr;     // set while the callback runs
};

}  // namespace pns::control
