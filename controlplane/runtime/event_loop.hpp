// SPDX-License-Identifier: BSD-3-Clause
//
// EventLoop: the clock, the timers and the deferred work of code that runs on the event loop.
// AsioEventLoop (asio_event_loop.hpp) is the product's; a test has one whose clock it moves by
// hand. One thread.
#pragma once

#include <functional>

#include "controlplane/runtime/timer_queue.hpp"
#include "pns/base/time.hpp"

namespace pns::control {

class EventLoop {
 public:
  EventLoop() = default;
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  virtual ~EventLoop() = default;

  // CLOCK_MONOTONIC.
  [[nodiscard]] virtual TimePoint now() const noexcept = 0;
  // Runs `work` after the handlers that are ready now, never before this returns.
  virtual void post(std::move_only_function<void()> work) = 0;

  [[nodiscard]] TimerQueue& timers() noexcept { return timers_; }

 private:
  TimerQueue timers_;
};

}  // namespace pns::control
