// SPDX-License-Identifier: BSD-3-Clause
//
// The results of pns-bench attack, judged and written down.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/flood_bench.hpp"
#include "tests/bench/results.hpp"

namespace pns::bench {

struct AttackRow {
  std::string name;           // mode/kind/jump/sessions attacked/forged to real/octets
  bool goal = false;          // 0.90 is wanted of it
  bool lossless = false;      // no real packet may be lost
  Spread baseline;            // TSC cycles a real packet, of batches, without the attack
  Spread dropping;            // the same with as many packets of strangers
  Spread attacked;            // TSC cycles a real packet that was carried
  double kept = 0;            // throughput under attack by that without, median of pairs of batches
  double kept_p10 = 0;        // nine tenths of the pairs kept more
  double kept_dropping = 0;   // the same of kept, with strangers
  double dropped_cycles = 0;  // that a stranger's packet costs
  double forged_cycles = 0;   // that a forged packet costs, dropping it included
  std::uint64_t real = 0, forged = 0, lost = 0;  // packets; lost: real ones that did not come out
  std::uint64_t steps = 0;                       // key steps
  double busy_seconds = 0;
  std::uint64_t most_steps = 0;  // of one poll
  double lone_cycles = 0;        // of a forged packet that is polled alone, median
  double lone_most = 0;
  [[nodiscard]] double delivered() const {
    return 1 - static_cast<double>(lost) / static_cast<double>(real);
  }
  [[nodiscard]] double steps_a_forged() const {
    return static_cast<double>(steps) / static_cast<double>(forged);
  }
  [[nodiscard]] double steps_a_second() const { return static_cast<double>(steps) / busy_seconds; }
  // Steps that the token buckets let through in that time, full buckets at its start included.
  [[nodiscard]] double steps_allowed(std::uint32_t key_change_ns) const;
};

struct AttackReport : Machine {
  double step_cycles = 0;  // of one key change
  std::uint32_t key_change_ns = 0;
  std::uint32_t sessions = 0;
  std::vector<AttackRow> rows;
  std::vector<FloodRow> floods;
};

// Faults that no noise of the machine explains: empty, or a line for each.
[[nodiscard]] std::vector<std::string> broken_rules(const AttackReport& report);

// Tables on stdout. Result: whether every goal was met.
bool print_report(const AttackReport& report);

// Throws std::runtime_error.
void write_json(const AttackReport& report, const std::string& file);

}  // namespace pns::bench
