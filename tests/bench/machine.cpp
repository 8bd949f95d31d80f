// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/machine.hpp"

#include <cpuid.h>
#include <fmt/core.h>
#include <sched.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <sstream>
#include <system_error>

namespace pns::bench {

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

CpuIdentity cpu_identity() {
  CpuIdentity identity;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(0, &a, &b, &c, &d) == 0) return identity;
  for (const unsigned part : {b, d, c})
    for (unsigned n = 0; n < 4; ++n) identity.vendor += static_cast<char>(part >> 8 * n & 0xff);
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return identity;
  identity.stepping = a & 0xf;
  identity.model = a >> 4 & 0xf;
  identity.family = a >> 8 & 0xf;
  if (identity.family == 6 || identity.family == 15) identity.model |= a >> 12 & 0xf0;
  if (identity.family == 15) identity.family += a >> 20 & 0xff;
  return identity;
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
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

Others::Others(std::span<const int> cpus) : cpus_(cpus), start_(now()) {}

Others::Ticks Others::now() const {
  Ticks ticks;
  std::ifstream file("/proc/stat");
  const auto tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  for (std::string line; std::getline(file, line);)
    for (const int cpu : cpus_) {
      if (!line.starts_with(fmt::format("cpu{} ", cpu))) continue;
      std::istringstream words(line);
      std::string name;
      double user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0;
      words >> name >> user >> nice >> system >> idle >> wait >> irq >> soft >> steal;
      ticks.busy += (user + nice + system + irq + soft + steal) * tick;
    }
  ticks.own = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  const auto elapsed = std::chrono::steady_clock::now().time_since_epoch();
  ticks.elapsed = std::chrono::duration<double>(elapsed).count();
  return ticks;
}

double Others::used() const {
  const Ticks end = now();
  const double busy = end.busy - start_.busy - (end.own - start_.own);
  return std::max(0.0, busy / (end.elapsed - start_.elapsed));
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(cpu), &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0)
    throw std::system_error(errno, std::generic_category(), "--cpu");
}

}  // namespace pns::bench
