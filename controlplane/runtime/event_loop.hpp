// SPDX-License-Identifier: BSD-3-Clause
//
// EventLoop: the clock, the timers and the deferred work of code that runs on the event loop.
// AsioEventLoop is the product's; a test has one whose clock it moves by hand. Sockets stay with
// Asio. One thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <optional>

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

class AsioEventLoop final : public EventLoop {
 public:
  explicit AsioEventLoop(asio::io_context& context);

  [[nodiscard]] TimePoint now() const noexcept override;
  void post(std::move_only_function<void()> work) override;

  // Runs until the context is stopped. A turn is one handler; `turned` is told the CPU time of
  // each. CPU time, because a turn begins while the thread still sleeps, and because a turn that
  // was preempted is no fault of its own.
  void run(const std::function<void(Duration)>& turned);

  [[nodiscard]] asio::io_context& context() noexcept { return context_; }

 private:
  void wait_until(TimePoint at);
  void on_timer();

  asio::io_context& context_;
  asio::steady_timer timer_;
  std::optional<TimePoint> waits_until_;
};

}  // namespace pns::control
