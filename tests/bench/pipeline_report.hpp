// SPDX-License-Identifier: BSD-3-Clause
//
// What pns-bench pipeline measured, judged and written down.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/pipeline_rig.hpp"

namespace pns::bench {

struct Spread {  // TSC cycles a packet, of bursts
  double min = 0, p10 = 0, median = 0;
};

// Sorts them; at least one.
[[nodiscard]] Spread spread_of(std::vector<double>& samples);

struct PipelineRow {
  std::string name;  // direction/clear or mppe/octets/sessions
  std::uint32_t sessions = 0;
  std::size_t size = 0;
  Spread whole, echo, lone;
  double acks = 0;  // stand-alone ones made, a packet
  std::uint64_t packets = 0;
};

struct PipelineMemory {
  std::uint32_t sessions = 0;
  Rig::Resident resident;
  [[nodiscard]] double total() const { return resident.records + resident.table + resident.worker; }
};

struct PipelineReport {
  std::string cpu;
  double tsc_ghz = 0, core_ratio = 0;
  bool eal_huge_pages = false;
  std::vector<PipelineRow> rows;
  std::vector<PipelineMemory> memory;
};

// Tables on stdout. Result: whether every goal whose case was measured was met, by p10.
bool print_report(const PipelineReport& report);

// Throws std::runtime_error.
void write_json(const PipelineReport& report, const std::string& file);

}  // namespace pns::bench
