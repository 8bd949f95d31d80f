// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_window.hpp"

#include <algorithm>

namespace pns::aaa {

RadiusWindow::RadiusWindow(std::uint32_t max) noexcept
    : max_(std::max(max, kMin)), size_(std::min(kInitial, max_)), threshold_(max_) {}

void RadiusWindow::on_answer(std::uint32_t outstanding) noexcept {
  if (outstanding < size_ / 2 || size_ >= max_) return;
  if (is_slow_start()) {
    ++size_;
    return;
  }
  if (++answers_ < size_) return;
  answers_ = 0;
  ++size_;
}

void RadiusWindow::on_loss(TimePoint sent_at, TimePoint now) noexcept {
  if (sent_at <= halved_at_) return;
  halved_at_ = now;
  answers_ = 0;
  size_ = std::max(kMin, size_ / 2);
  threshold_ = size_;
}

void RadiusWindow::restart() noexcept {
  threshold_ = std::max(kInitial, threshold_);
  size_ = kMin;
  answers_ = 0;
}

}  // namespace pns::aaa
