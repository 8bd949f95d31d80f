// SPDX-License-Identifier: BSD-3-Clause
//
// Stopwatch: how long the phases of a start took. For main only: nothing below it reads a clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace pns {

class Stopwatch {
 public:
  // Milliseconds since the last lap, or since the start.
  std::int64_t lap_ms() noexcept {
    const auto now = std::chrono::steady_clock::now();
    return count(now - std::exchange(last_, now));
  }
  [[nodiscard]] std::int64_t total_ms() const noexcept {
    return count(std::chrono::steady_clock::now() - start_);
  }

 private:
  [[nodiscard]] static std::int64_t count(std::chrono::steady_clock::duration time) noexcept {
    return std::chrono::round<std::chrono::milliseconds>(time).count();
  }

  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = start_;
};

}  // namespace pns
