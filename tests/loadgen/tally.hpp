// SPDX-License-Identifier: BSD-3-Clause
//
// Tally: the sums of what some sessions recorded, whether they are still there or were followed by
// others of the same number. Values; one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "pns/base/time.hpp"
#include "tests/loadgen/session.hpp"

namespace pns::loadgen {

// Durations, exact, and the values that parts of them do not exceed.
class Times {
 public:
  void add(const std::optional<Duration>& value) {
    if (value) values_.push_back(*value);
  }
  void clear() noexcept { values_.clear(); }
  Times& operator+=(const Times& other);
  [[nodiscard]] std::size_t count() const noexcept { return values_.size(); }
  // The value at the part `p` (0 to 1) of all in order; 0 when there are none.
  [[nodiscard]] Duration percentile(double p) const;

 private:
  mutable std::vector<Duration> values_;  // put in order where that is asked for
};

// Stage → reason → how many.
using Reasons = std::map<std::string, std::map<std::string, std::uint64_t>>;

struct Tally {
  std::uint64_t retransmissions = 0;
  std::uint64_t with_retransmissions = 0;
  std::uint64_t undecryptable = 0;
  std::uint64_t lcp_echoes = 0;
  TrafficCounts probes;
  TrafficCounts traffic;
  GreCounts gre;
  ImpairmentCounts upstream;
  ImpairmentCounts downstream;
  Times set_up;
  Times first_answer;
  Times call_wait;
  Times admitted;
  Times until_up;

  void add(const Session& session);
  Tally& operator+=(const Tally& other);
};

}  // namespace pns::loadgen
