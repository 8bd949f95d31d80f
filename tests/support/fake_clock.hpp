// SPDX-License-Identifier: BSD-3-Clause
//
// FakeClock: time that a test moves by hand.
#pragma once

#include "pns/base/time.hpp"

namespace pns::test {

class FakeClock {
 public:
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  void advance(Duration by) noexcept { now_ += by; }
  void advance_to(TimePoint at) noexcept {
    if (at > now_) now_ = at;
  }

 private:
  TimePoint now_{Seconds(1'000'000)};  // not the epoch: a forgotten base shows
};

}  // namespace pns::test
