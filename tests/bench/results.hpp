// SPDX-License-Identifier: BSD-3-Clause
//
// Options and results that all benches have alike.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace pns::bench {

struct RunOptions {
  std::string filter;   // cases whose name contains this
  double seconds = 0;   // each bench says of what
  unsigned rounds = 0;  // in place of the time
  bool no_huge = false;
  bool enforce = false;  // a goal that is missed is a failure
  std::string json;      // file
};

struct Machine {
  std::string cpu;
  double tsc_ghz = 0, core_ratio = 0;
  bool huge_pages = false;  // packet buffers are on them
};

struct Spread {  // TSC cycles a packet, of bursts
  double min = 0, p10 = 0, median = 0;
};

// Sorts them; at least one.
[[nodiscard]] Spread spread_of(std::vector<double>& samples);

// One line, without its end.
[[nodiscard]] std::string describe(const Machine& machine);
[[nodiscard]] const char* page_size(bool huge) noexcept;

[[nodiscard]] nlohmann::json json_of(const Spread& spread);
// The CPU as it names and numbers itself, its clocks and today.
[[nodiscard]] nlohmann::json json_of(const Machine& machine);
// `results` and what is to be known of the machine. Throws std::runtime_error.
void write_results(const std::string& file, const Machine& machine, nlohmann::json results);
// Throws std::runtime_error.
void write_results(const std::string& file, const nlohmann::json& results);

}  // namespace pns::bench
