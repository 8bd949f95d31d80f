// SPDX-License-Identifier: BSD-3-Clause
//
// AsioEventLoop: the product's EventLoop, on an asio::io_context that sockets use too. One thread.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <optional>

#include "controlplane/runtime/event_loop.hpp"
#include "pns/base/time.hpp"

namespace pns::control {

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
