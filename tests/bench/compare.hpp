// SPDX-License-Identifier: BSD-3-Clause
//
// Two result files of pns-bench, one beside the other: what has become slower, and which goals are
// met no longer.
#pragma once

#include <string>

namespace pns::bench {

struct CompareOptions {
  std::string before;  // files that --json wrote
  std::string after;
  double tolerance = 0.10;  // of a factor: what is within it is the same
};

// A table on stdout, worst first; warnings on stdout above it, errors on stderr. A row is judged by
// cost against the reference that was measured beside it in the same run, where it has one: that of
// contender "plain" in the same case, else its own "echo". Slower or faster is what both the
// minimum and the median say. Exit status: 0 nothing is slower and no goal was lost, 1 something is
// or was, 2 a file cannot be read or the two have no row in common.
int run_compare(const CompareOptions& options);

}  // namespace pns::bench
