// SPDX-License-Identifier: BSD-3-Clause
//
// Timeline: the run as a CSV, one row for each step (docs/loadgen.md names the columns). Every row
// is flushed: a run that is killed leaves a file that can be read. Time is a parameter. One thread.
#pragma once

#include <cstdint>
#include <ostream>

#include "pns/base/time.hpp"
#include "tests/loadgen/tally.hpp"

namespace pns::loadgen {

class Timeline {
 public:
  // The content of a row beside its time. Traffic: of the run so far; the row has what came since
  // the one before.
  struct Counts {
    std::size_t dialling = 0;
    std::size_t waiting_call = 0;
    std::size_t in_ppp = 0;
    std::size_t up = 0;
    std::size_t failed = 0;
    std::uint64_t lost_calls = 0;
    std::uint64_t retries = 0;
    std::uint64_t set_ups = 0;
    std::uint64_t traffic_sent = 0;
    std::uint64_t traffic_received = 0;
  };

  // Writes the head. `out` outlives this.
  Timeline(std::ostream& out, TimePoint start, Duration step);

  [[nodiscard]] bool due(TimePoint now) const noexcept { return now >= next_; }
  // A set-up is done, so long after its call was accepted.
  void on_set_up(Duration admitted) { admitted_.add(admitted); }
  void write(const Counts& counts, TimePoint now);

 private:
  std::ostream& out_;
  TimePoint start_;
  Duration step_;
  TimePoint next_;
  Times admitted_;  // since the last row
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

}  // namespace pns::loadgen
