// SPDX-License-Identifier: BSD-3-Clause
//
// The clocks of the main thread and of workers. Both tell CLOCK_MONOTONIC in nanoseconds.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>

namespace pns::dataplane {

[[nodiscard]] inline std::uint64_t monotonic_ns() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(now.tv_nsec);
}

// A worker's time. The clock is read once a millisecond; in between the TSC carries it on. DPDK
// knows the TSC's rate to 0.2 % only on some hosts, so a reading may lie before the time that was
// carried on. The worker's time stands still then: ages must not become negative. One worker.
class WorkerClock {
 public:
  WorkerClock(double ns_per_cycle, std::uint64_t cycles, std::uint64_t reading_ns) noexcept
      : ns_per_cycle_(ns_per_cycle),
        max_cycles_(static_cast<std::uint64_t>(kReadingNs / ns_per_cycle)),
        base_cycles_(cycles),
        base_ns_(reading_ns),
        last_ns_(reading_ns) {}

  // The last reading is more than a millisecond old.
  [[nodiscard]] bool wants_reading(std::uint64_t cycles) const noexcept {
    return cycles - base_cycles_ > max_cycles_;
  }
  void set_reading(std::uint64_t cycles, std::uint64_t reading_ns) noexcept {
    base_cycles_ = cycles;
    base_ns_ = reading_ns;
  }
  // Never less than before.
  [[nodiscard]] std::uint64_t now_ns(std::uint64_t cycles) noexcept {
    const auto since_ns =
        static_cast<std::uint64_t>(static_cast<double>(cycles - base_cycles_) * ns_per_cycle_);
    return last_ns_ = std::max(last_ns_, base_ns_ + since_ns);
  }

 private:
  static constexpr double kReadingNs = 1e6;

  double ns_per_cycle_;
  std::uint64_t max_cycles_;  // between two readings
  std::uint64_t base_cycles_;
  std::uint64_t base_ns_;
  std::uint64_t last_ns_;
};

}  // namespace pns::dataplane
