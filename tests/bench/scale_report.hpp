// SPDX-License-Identifier: BSD-3-Clause
//
// The results of pns-bench scale, judged and written down.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/bench/frame_state.hpp"
#include "tests/bench/results.hpp"

namespace pns::bench {

// One kind of work, by each thread alone and by all at once.
struct ScaleRow {
  std::string name;           // crypto/way/octets/sessions of a worker; alu; echo/octets
  bool worker = false;        // else what the machine allows
  std::vector<Spread> alone;  // TSC cycles a packet, of polls
  std::vector<Spread> together;
  // Packets a second of all by those of one.
  [[nodiscard]] double factor(double Spread::*of) const;
};

// The extra cost of one thing over another in the same rounds.
struct Extra {
  double p10 = 0;     // between the tenth percentiles
  double median = 0;  // of the differences within rounds
  double error = 0;   // of that median, one standard error, by the middle half of the differences
};

struct HandoverRow {
  std::string name;      // crypto/way/octets
  unsigned threads = 1;  // 1: both workers polled in turn by one
  unsigned percent = 0;  // of the sessions whose packets arrive at the wrong worker
  bool one_way = false;  // only the second worker's
  Spread both{};         // TSC cycles a packet of both workers, of batches
  // For each packet handed over; both ways, each worker gives and takes.
  Extra more{}, give{}, take{};
  std::uint64_t packets = 0, handed = 0;
};

struct ScaleReport : Machine {
  double others = 0;  // CPUs' worth that others used meanwhile
  FrameState frames = FrameState::kMemory;
  std::vector<int> cpus;
  std::vector<std::string> siblings;  // of each of them
  std::vector<ScaleRow> rows;
  std::vector<HandoverRow> handovers;
};

// Tables on stdout. Result: whether every goal was met.
bool print_report(const ScaleReport& report);

// Throws std::runtime_error.
void write_json(const ScaleReport& report, const std::string& file);

}  // namespace pns::bench
