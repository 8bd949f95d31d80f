// SPDX-License-Identifier: BSD-3-Clause
//
// FakeEventLoop: an event loop whose clock the test moves. Posted work runs in run(); timers run
// when advance() passes their deadline, each at its own time.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "controlplane/runtime/event_loop.hpp"

namespace pns::test {

class FakeEventLoop final : public control::EventLoop {
 public:
  [[nodiscard]] TimePoint now() const noexcept override { return now_; }
  void post(std::move_only_function<void()> work) override { work_.push_back(std::move(work)); }

  // Runs posted work, and timers that are due, until nothing is left.
  void run() {
    do {
      while (!work_.empty()) {
        auto work = std::move(work_.front());
        work_.pop_front();
        work();
      }
    } while (timers().run_due(now_, 1) != 0 || !work_.empty());
  }

  // Runs the oldest posted work alone. False: there is none.
  bool step() {
    if (work_.empty()) return false;
    auto work = std::move(work_.front());
    work_.pop_front();
    work();
    return true;
  }

  // Time passes in which nothing runs.
  void jump(Duration duration) { now_ += duration; }

  // Lets time pass. Work runs at the moment at which its timer expires.
  void advance(Duration duration) {
    const TimePoint until = now_ + duration;
    run();
    while (const auto next = timers().next()) {
      if (*next > until) break;
      now_ = std::max(now_, *next);
      run();
    }
    now_ = until;
  }

 private:
  TimePoint now_{Seconds(1000)};
  std::deque<std::move_only_function<void()>> work_;
};

}  // namespace pns::test
