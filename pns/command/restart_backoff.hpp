// SPDX-License-Identifier: BSD-3-Clause
//
// How long the supervisor waits before it starts a plane again that ended by itself: not at all
// when it had served for a second, nor after the first short run; then 100 ms, doubling to 5 s,
// while runs stay short. A plane that never got ready served for no time. Planned restarts do not
// ask.
#pragma once

#include <algorithm>
#include <chrono>

namespace pns::command {

class RestartBackoff {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kShortRun{1'000};
  static constexpr Milliseconds kFirst{100};
  static constexpr Milliseconds kLongest{5'000};

  constexpr RestartBackoff() noexcept = default;
  // Goes on where another left off.
  explicit constexpr RestartBackoff(Milliseconds next) noexcept
      : next_(std::clamp(next, Milliseconds{0}, kLongest)) {}

  // The plane ended after it had been ready for `served`. Returns the wait before its next start.
  [[nodiscard]] constexpr Milliseconds on_end(Milliseconds served) noexcept {
    if (served >= kShortRun) {
      next_ = Milliseconds{0};
      return next_;
    }
    const Milliseconds wait = next_;
    next_ = std::min(kLongest, wait == Milliseconds{0} ? kFirst : wait * 2);
    return wait;
  }
  // The wait after the next short run.
  [[nodiscard]] constexpr Milliseconds next() const noexcept { return next_; }

 private:
  Milliseconds next_{0};
};

}  // namespace pns::command
