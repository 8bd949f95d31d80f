// SPDX-License-Identifier: BSD-3-Clause
//
// The extra cost of a packet that arrives at the wrong one of two workers. All shares of such
// packets take turns, a batch each, so that what disturbs the machine disturbs all of them alike.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "tests/bench/crew.hpp"
#include "tests/bench/pipeline_rig.hpp"
#include "tests/bench/scale_report.hpp"

namespace pns::bench {

class Handover {
 public:
  // The first two threads, each with its rig.
  Handover(Crew& crew, const std::array<Wires*, 2>& wires, const std::array<Rig*, 2>& rigs)
      : crew_(crew), wires_(wires), rigs_(rigs) {}

  struct Case {
    std::string name;
    Direction direction;
    std::size_t size;
    unsigned threads;  // 1: both workers are polled in turn by one
    FrameState frames;
  };
  // Whether another round is wanted; the first is not noted.
  using GoesOn = std::function<bool(unsigned round, std::chrono::steady_clock::time_point since)>;
  // Appends a row for each share. Throws std::runtime_error when a packet does not come out, or not
  // as many are handed over as arrived at the wrong worker.
  void measure(const Case& of, const GoesOn& goes_on, std::vector<HandoverRow>& rows);

 private:
  struct Share;
  void run_batches(const Case& of, Share& share, bool noted);
  void turn(unsigned n, unsigned& left, std::uint64_t& cycles);
  [[nodiscard]] std::uint64_t carried() const;
  [[nodiscard]] std::uint64_t handed() const;

  Crew& crew_;
  std::array<Wires*, 2> wires_;
  std::array<Rig*, 2> rigs_;
};

}  // namespace pns::bench
