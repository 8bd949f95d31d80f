// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/pace.hpp"

#include <algorithm>
#include <cmath>

namespace pns::loadgen {

std::uint64_t Pace::take_due(TimePoint now) noexcept {
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const auto all = static_cast<std::uint64_t>(std::max(0.0, elapsed * per_second_));
  const std::uint64_t due = all > taken_ ? all - taken_ : 0;
  taken_ += due;
  return due;
}

Duration jittered(Duration wait, RandomSource& random) noexcept {
  const double part = 0.5 + static_cast<double>(random.next_u32()) / 4294967296.0;
  return Duration(static_cast<Duration::rep>(static_cast<double>(wait.count()) * part));
}

std::size_t first_of_share(std::size_t count, double share) noexcept {
  const auto taken = static_cast<std::size_t>(std::lround(share * static_cast<double>(count)));
  return count - std::min(count, taken);
}

std::size_t ramped(std::size_t count, Duration ramp, Duration elapsed) noexcept {
  if (elapsed >= ramp) return count;
  const double part = static_cast<double>(elapsed.count()) / static_cast<double>(ramp.count());
  return std::min(count, static_cast<std::size_t>(part * static_cast<double>(count)) + 1);
}

}  // namespace pns::loadgen
