// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench mppe: the burst engine and its references in one process, a burst of each in turn, so
// that a busy host slows all of them. Every output is compared with that of the plain algorithm.
#pragma once

#include <string>
#include <vector>

#include "tests/bench/results.hpp"

namespace pns::bench {

struct MppeOptions : RunOptions {
  MppeOptions() { seconds = 30; }  // for all cases together
  std::vector<std::string> only;   // contenders; plain is always there
};

// Results and goals on stdout, progress on stderr. Exit status: 1 when no case matches, and with
// `enforce` when a goal was missed. Throws when an output was wrong.
int run_mppe(const MppeOptions& options);

}  // namespace pns::bench
