// SPDX-License-Identifier: BSD-3-Clause
//
// What must be known of a machine to compare figures of two runs.
#pragma once

#include <string>

namespace pns::bench {

[[nodiscard]] std::string cpu_model();

// Core cycles a TSC cycle, measured now.
[[nodiscard]] double core_ratio();

// Stays on one CPU from here on. Throws std::system_error.
void pin(int cpu);

}  // namespace pns::bench
