// SPDX-License-Identifier: BSD-3-Clause
//
// The results of pns-bench pipeline, judged and written down.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/pipeline_rig.hpp"
#include "tests/bench/results.hpp"

namespace pns::bench {

struct PipelineRow {
  std::string name;  // direction/clear or mppe/octets/sessions, and what is not the default
  std::uint32_t sessions = 0;
  std::size_t size = 0;
  Spread whole, echo, lone;
  double acks = 0;    // stand-alone ones made, a packet
  double handed = 0;  // to the other worker, a packet
  std::uint64_t packets = 0;
};

struct PipelineMemory {
  std::uint32_t sessions = 0;
  Rig::Resident resident;
  [[nodiscard]] double total() const { return resident.records + resident.table + resident.worker; }
};

// The cost of a frame's first line in a state of frames.
struct PipelineLine {
  FrameState state;
  LineCost cost;
};

struct PipelineReport : Machine {
  std::vector<PipelineRow> rows;
  std::vector<PipelineMemory> memory;
  std::vector<PipelineLine> lines;
  std::vector<std::string> hosts;  // as asked for
};

// Tables on stdout. Result: whether every goal whose case was measured was met.
bool print_report(const PipelineReport& report);

// Throws std::runtime_error.
void write_json(const PipelineReport& report, const std::string& file);

}  // namespace pns::bench
