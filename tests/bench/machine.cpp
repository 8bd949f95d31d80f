// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/machine.hpp"

#include <sched.h>
#include <x86intrin.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <system_error>

namespace pns::bench {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

// Additions that wait for each other take one core cycle each.
double core_ratio() {
  double best = 0;
  for (unsigned n = 0; n < 50; ++n) {
    constexpr unsigned kAdditions = 100000;
    const std::uint64_t start = __rdtsc();
    std::uint64_t sum = 0;
    for (unsigned at = 0; at < kAdditions; at += 10)
      asm volatile(
          "add $1, %0; add %0, %0; add $1, %0; add %0, %0; add $1, %0; add %0, %0; add $1, %0;"
          "add %0, %0; add $1, %0; add %0, %0"
          : "+r"(sum));
    best = std::max(best, double{kAdditions} / static_cast<double>(__rdtsc() - start));
  }
  return best;
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0)
    throw std::system_error(errno, std::generic_category(), "--cpu");
}

}  // namespace pns::bench
