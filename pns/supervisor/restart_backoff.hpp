// SPDX-License-Identifier: BSD-3-Clause
//
// How long the supervisor waits before it starts a plane again that ended by itself: not at all
// when it had served for a second, nor after the first short run; then 100 ms, doubling while runs
// stay short: to half a second when it had served at all, for it keeps calls alive while it does,
// to 5 s when it never got ready. Planned restarts do not ask.
#pragma once

#include <algorithm>
#include <chrono>

namespace pns::supervisor {

class RestartBackoff {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kShortRun{1'000};
  static constexpr Milliseconds kFirst{100};
  static constexpr Milliseconds kLongestServed{500};
  static constexpr Milliseconds kLongest{5'000};

  constexpr RestartBackoff() noexcept = default;
  // Goes on where another left off.
  explicit constexpr RestartBackoff(Milliseconds next) noexcept
      : next_(std::clamp(next, Milliseconds{0}, kLongest)) {}

  // The plane ended after it had been ready for `served`; 0: it never was. Returns the wait before
  // its next start.
  [[nodiscard]] constexpr Milliseconds on_end(Milliseconds served) noexcept {
    if (served >= kShortRun) {
      next_ = Milliseconds{0};
      return next_;
    }
    const Milliseconds longest = served > Milliseconds{0} ? kLongestServed : kLongest;
    const Milliseconds wait = std::min(longest, next_);
    next_ = std::min(longest, wait == Milliseconds{0} ? kFirst : wait * 2);
    return wait;
  }
  // The wait after the next short run.
  [[nodiscard]] constexpr Milliseconds next() const noexcept { return next_; }

 private:
  Milliseconds next_{0};
};

}  // namespace pns::supervisor
