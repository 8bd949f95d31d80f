// SPDX-License-Identifier: BSD-3-Clause
//
// How long the supervisor waits before it starts a plane again: not at all after a good run or the
// first short one, then 100 ms, doubling to 5 s, while runs stay short.
#pragma once

#include <algorithm>
#include <chrono>

namespace pns::command {

class RestartBackoff {
 public:
  using Milliseconds = std::chrono::milliseconds;
  static constexpr Milliseconds kShortRun{5'000};
  static constexpr Milliseconds kFirst{100};
  static constexpr Milliseconds kLongest{5'000};

  // The plane ended after `lived`. Returns the wait before its next start.
  [[nodiscard]] constexpr Milliseconds on_end(Milliseconds lived) noexcept {
    if (lived >= kShortRun) {
      next_ = Milliseconds{0};
      return next_;
    }
    const Milliseconds wait = next_;
    next_ = std::min(kLongest, wait == Milliseconds{0} ? kFirst : wait * 2);
    return wait;
  }

 private:
  Milliseconds next_{0};
};

}  // namespace pns::command
