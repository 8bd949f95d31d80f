// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_round_trip.hpp"

#include <algorithm>
#include <chrono>

namespace pns::aaa {

RadiusRoundTrip::RadiusRoundTrip(Duration first) noexcept
    : timeout_(first), min_(std::min(first, kMin)) {}

void RadiusRoundTrip::on_answer(Duration since_first, Duration since_last) noexcept {
  // Repetitions are the same packet, so an answer does not say which one it is for. One that comes
  // sooner than the server can answer is for an earlier one.
  const bool of_earlier = smoothed_ == Duration{} || since_last < smoothed_ / 4;
  const Duration sample = of_earlier ? since_first : since_last;
  if (smoothed_ == Duration{}) {
    smoothed_ = std::max(sample, Duration{1});
    deviation_ = sample / 2;
  } else {
    deviation_ += (std::chrono::abs(sample - smoothed_) - deviation_) / 4;
    smoothed_ += (sample - smoothed_) / 8;
  }
  timeout_ = std::clamp<Duration>(smoothed_ + 4 * deviation_, min_, kMax);
}

}  // namespace pns::aaa
