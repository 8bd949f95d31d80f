// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusRoundTrip: how long one server takes to answer, and so how long a transmission may wait
// before it is repeated: the smoothed time and four times its deviation (RFC 6298 §2). A server
// that is slow but alive raises that time, and its answers do not count as lost. One thread.
#pragma once

#include "pns/base/time.hpp"

namespace pns::aaa {

class RadiusRoundTrip {
 public:
  static constexpr Duration kMin = Milliseconds(500);
  static constexpr Duration kMax = Seconds(10);

  // `first`: the time-out before anything was measured.
  explicit RadiusRoundTrip(Duration first) noexcept;

  // An answer came `since_first` after the first transmission of its request and `since_last` after
  // the last; both are equal when there was one.
  void on_answer(Duration since_first, Duration since_last) noexcept;

  [[nodiscard]] Duration timeout() const noexcept { return timeout_; }
  [[nodiscard]] Duration smoothed() const noexcept { return smoothed_; }

 private:
  Duration smoothed_{};  // 0: nothing was measured
  Duration deviation_{};
  Duration timeout_;
  Duration min_;
};

}  // namespace pns::aaa
