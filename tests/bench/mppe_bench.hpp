// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench mppe: the burst engine and its references in one process, a burst of each in turn, so
// that a busy host slows all of them. Every output is compared with that of the plain algorithm.
#pragma once

#include <string>
#include <vector>

namespace pns::bench {

struct MppeOptions {
  double seconds = 30;            // for all cases together
  unsigned rounds = 0;            // bursts of each in a case, in place of the time
  std::string filter;             // cases whose name contains this
  std::vector<std::string> only;  // contenders; plain is always there
  std::string json;               // file
  bool enforce = false;           // a goal that is missed is a failure
};

// Results and goals on stdout, progress on stderr. Exit status: 1 when no case matches, and with
// `enforce` when a goal was missed. Throws when an output was wrong.
int run_mppe(const MppeOptions& options);

}  // namespace pns::bench
