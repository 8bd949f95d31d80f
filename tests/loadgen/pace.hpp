// SPDX-License-Identifier: BSD-3-Clause
//
// How events are spread over time and over sessions. Values; time and randomness are parameters.
#pragma once

#include <cstdint>

#include "pns/base/random.hpp"
#include "pns/base/time.hpp"

namespace pns::loadgen {

// Events at a steady rate.
class Pace {
 public:
  Pace(double per_second, TimePoint start) noexcept : per_second_(per_second), start_(start) {}
  // How many more are due than were taken before.
  [[nodiscard]] std::uint64_t take_due(TimePoint now) noexcept;

 private:
  double per_second_;
  TimePoint start_;
  std::uint64_t taken_ = 0;
};

// Half to one and a half of the wait, evenly spread: clients that failed together do not return
// together.
[[nodiscard]] Duration jittered(Duration wait, RandomSource& random) noexcept;

// Among so many numbers from 0, the first one that belongs to the part of the highest.
[[nodiscard]] std::size_t first_of_share(std::size_t count, double share) noexcept;

// How many of `count` first dials are to have begun, when they are spread over `ramp`; at least
// one.
[[nodiscard]] std::size_t ramped(std::size_t count, Duration ramp, Duration elapsed) noexcept;

}  // namespace pns::loadgen
