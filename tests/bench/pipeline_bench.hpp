// SPDX-License-Identifier: BSD-3-Clause
//
// pns-bench pipeline: the real worker, from rx_burst to tx_burst, over up to a million sessions.
// Beside each case, batch by batch in the same run: `echo`, what ring ports alone cost, and `lone`,
// the same worker given one packet at a time. `unsteered`: downstream by two workers, which get
// half of each other's packets. Each case is repeated for every state of frames and every choice of
// hosts, rates and filters that is asked for. A packet that does not come out fails the bench.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/results.hpp"

namespace pns::bench {

struct PipelineOptions : RunOptions {
  PipelineOptions() { seconds = 120; }  // for all cases together
  std::vector<std::uint32_t> sessions{1'000, 10'000, 100'000, 1'000'000};
  std::vector<std::size_t> sizes;  // octets of inner IP; empty: 64, 1400 clear, 512, 1400 MPPE
  std::vector<std::string> directions{"up", "down", "both", "unsteered"};
  std::vector<std::string> frames{"memory"};  // states, as name_of() says
  std::vector<std::string> hosts{"all"};      // all, few
  // none; rate: each session has one of each direction; shape: the same, with workers that delay
  // packets; group: all sessions share one; filter: each has one of 16 rules, both ways.
  std::vector<std::string> services{"none"};
  bool clear = true;
  bool mppe = true;
  std::uint32_t max_sessions = UINT32_MAX;  // cases of more are left out
  int cpu = -1;
};

// Table on stdout, progress on stderr. Starts EAL. Exit status: 1 when a packet was lost, no case
// matches or, with `enforce`, a goal is missed; 77 when EAL does not start.
int run_pipeline(const PipelineOptions& options);

}  // namespace pns::bench
