// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench scale: several workers at once, each in a thread of its own with its own rings and its
// share of the sessions, over the session memory, packet buffers and routes that they share; beside
// them what the machine gives to threads that share nothing (`alu`: additions; `echo`: ports only).
// And what hand-over between two workers costs. A packet that does not come out fails the bench.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/results.hpp"

namespace pns::bench {

struct ScaleOptions : RunOptions {
  ScaleOptions() { seconds = 3; }                        // of each case
  std::vector<int> cpus;                                 // empty: all that this process may use
  std::string frames = "memory";                         // state, as name_of() says
  unsigned workers = 0;                                  // on the first so many of them; 0: on each
  std::vector<std::uint32_t> sessions{10'000, 100'000};  // of a worker
};

// Tables on stdout, progress on stderr. Starts EAL. Exit status: 1 when a packet was lost, not as
// many were handed over as had to be or, with `enforce`, a goal is missed; 77 when EAL does not
// start or there are fewer than two CPUs.
int run_scale(const ScaleOptions& options);

}  // namespace pns::bench
