// SPDX-License-Identifier: BSD-3-Clause
//
// Time as a parameter: nothing below a main or a poll loop reads a clock. The control plane counts
// in TimePoint (CLOCK_MONOTONIC); the dataplane counts in Tsc cycles and converts at its edge.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>

namespace pns {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using Seconds = std::chrono::seconds;
using Milliseconds = std::chrono::milliseconds;

// Nanoseconds of CLOCK_MONOTONIC: the same for every process of this host, fit for shared memory.
[[nodiscard]] inline std::uint64_t monotonic_ns(TimePoint t) noexcept {
  return static_cast<std::uint64_t>(t.time_since_epoch().count());
}

// The way back.
[[nodiscard]] inline TimePoint from_monotonic_ns(std::uint64_t ns) noexcept {
  return TimePoint(Duration(ns));
}

// Cycles of the invariant time-stamp counter.
struct Tsc {
  std::uint64_t cycles = 0;
  friend constexpr auto operator<=>(const Tsc&, const Tsc&) noexcept = default;
};

}  // namespace pns
