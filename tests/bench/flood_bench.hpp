// SPDX-License-Identifier: BSD-3-Clause
//
// The floods of pns-bench attack: frames for the kernel, and packets to pool addresses that nobody
// has, as fast as a worker takes them. Beside them come the ARP replies of a gateway. The kernel
// gives a gateway up when three probes in a row have no answer, so every reply must pass.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/pipeline_rig.hpp"

namespace pns::bench {

struct FloodRow {
  std::string name;
  std::uint64_t frames = 0;
  double cycles = 0;           // a frame of the flood, median of bursts
  double frames_a_second = 0;  // that the worker took, busy with nothing else
  std::uint64_t passed = 0;    // frames of the flood that reached the kernel's ring
  std::uint64_t replies = 0, replies_passed = 0;
  std::uint64_t longest_loss = 0;  // replies lost in a row
  [[nodiscard]] bool gateway_resolved() const { return longest_loss < 3; }
};

// `frames`: of each flood whose name contains `filter`.
[[nodiscard]] std::vector<FloodRow> run_floods(Wires& wires, std::uint64_t frames, bool huge_pages,
                                               const std::string& filter);

// Tables on stdout. Result: what is wrong, a line each.
[[nodiscard]] std::vector<std::string> print_floods(const std::vector<FloodRow>& rows);

}  // namespace pns::bench
