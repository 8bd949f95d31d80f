// SPDX-License-Identifier: BSD-3-Clause
//
// The facts of a machine that a comparison of two runs needs.
#pragma once

#include <span>
#include <string>

namespace pns::bench {

[[nodiscard]] std::string cpu_model();

// As CPUID numbers it: families of one name differ.
struct CpuIdentity {
  std::string vendor;
  unsigned family = 0, model = 0, stepping = 0;
};
[[nodiscard]] CpuIdentity cpu_identity();

// The date of today, in UTC, as 2026-11-28.
[[nodiscard]] std::string today();

// Core cycles a TSC cycle, measured now.
[[nodiscard]] double core_ratio();

// Stays on one CPU from here on. Throws std::system_error.
void pin(int cpu);

// The share of some CPUs that other processes use from here on.
class Others {
 public:
  explicit Others(std::span<const int> cpus);
  // CPUs' worth, on average; 0.02 is an idle machine. Coarse: of clock ticks.
  [[nodiscard]] double used() const;

 private:
  struct Ticks {
    double busy = 0, own = 0, elapsed = 0;  // seconds
  };
  [[nodiscard]] Ticks now() const;

  std::span<const int> cpus_;
  Ticks start_;
};

}  // namespace pns::bench
