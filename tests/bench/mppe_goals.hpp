// SPDX-License-Identifier: BSD-3-Clause
//
// The goals of the burst engine, as ratios within one run.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/bench/machine.hpp"

namespace pns::bench {

struct Measured {
  std::uint64_t min = 0;  // TSC cycles a packet
  std::uint64_t p10 = 0;
  std::uint64_t median = 0;
};

// How often as fast. The worst of several cases counts.
struct MppeGoal {
  std::string name;
  double wanted;
  double measured_min;  // by the minima of the run
  double measured_p10;  // by the tenth percentiles
  double measured_median;
  [[nodiscard]] bool met() const { return measured_min >= wanted && measured_p10 >= wanted; }
};

// The measurement of a contender in a case; nothing when it was not part of the run.
using MppeResults =
    std::function<std::optional<Measured>(const std::string& name, const std::string& contender)>;

// `best`: name of the fastest variant, whose form of RC4 the start chose; with "-bytes" and
// "-words" behind it, that of the forced ones. On `cpu` hangs what can be wanted. Goals of which a
// case or a contender is missing are left out.
[[nodiscard]] std::vector<MppeGoal> mppe_goals(const MppeResults& results, const std::string& best,
                                               const CpuIdentity& cpu);

}  // namespace pns::bench
