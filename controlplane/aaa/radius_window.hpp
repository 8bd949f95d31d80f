// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusWindow: how many requests one server may owe an answer to at once. A server loses what its
// socket has no room for and says nothing, so the window is found as TCP finds its own (RFC 5681
// §3.1): slow start from 32, one more for each window of answers from the threshold on, and half of
// it after a loss. Losses of requests that were sent before the last halving are of one event.
// Time is a parameter. One thread.
#pragma once

#include <cstdint>

#include "pns/base/time.hpp"

namespace pns::aaa {

class RadiusWindow {
 public:
  static constexpr std::uint32_t kInitial = 32;
  static constexpr std::uint32_t kMin = 8;  // one loss of few requests leaves some in flight

  explicit RadiusWindow(std::uint32_t max) noexcept;

  // `outstanding`: transmissions that wait for an answer.
  [[nodiscard]] bool has_room(std::uint32_t outstanding) const noexcept {
    return outstanding < size_;
  }
  // An answer has come; `outstanding` counts its request still. A window that is not used does not
  // grow.
  void on_answer(std::uint32_t outstanding) noexcept;
  // A transmission of `sent_at` was not answered in time.
  void on_loss(TimePoint sent_at, TimePoint now) noexcept;
  // The server has died, or may be tried after that: slow start from the minimum.
  void restart() noexcept;

  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
  [[nodiscard]] bool is_slow_start() const noexcept { return size_ < threshold_; }

 private:
  std::uint32_t max_;
  std::uint32_t size_;
  std::uint32_t threshold_;    // slow start ends here
  std::uint32_t answers_ = 0;  // since the last additive growth
  TimePoint halved_at_ = TimePoint::min();
};

}  // namespace pns::aaa
