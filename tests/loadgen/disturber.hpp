// SPDX-License-Identifier: BSD-3-Clause
//
// Disturber: carries out a run's disturbances (--outage, --gap) on its sessions, and sums up how
// the sessions recovered. One thread.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/loadgen/site.hpp"
#include "tests/loadgen/tally.hpp"

namespace pns::loadgen {

// One disturbance, over all sessions that it hit.
struct Aftermath {
  std::uint64_t sessions = 0;    // hit
  std::uint64_t never_back = 0;  // of those, also when they have ended
  std::uint64_t silent = 0;      // hit, and sent nothing after it: nobody knows
  std::uint64_t unanswered = 0;  // hit, and got no answer at all to what they sent after it
  std::uint64_t sent = 0;        // packets after it, until the next one begins
  std::uint64_t lost = 0;        // of those
  std::vector<std::uint64_t> lost_by_session;  // sorted
  Times first_answer;
  Times back;
};

class Disturber {
 public:
  explicit Disturber(Site& site) : site_(site), hit_(site.options.disturbances.size()) {}

  // Traffic begins.
  void begin(TimePoint now) noexcept { began_ = now; }
  // Carries out what is due. Called before packets are sent.
  void on_time(TimePoint now);
  // By disturbance, in the order of time.
  [[nodiscard]] std::vector<Aftermath> aftermaths() const;

 private:
  template <class Act>
  void for_each_hit(Act&& act);

  Site& site_;
  TimePoint began_{};
  std::size_t next_ = 0;  // disturbance that is to begin or, when in_outage_, to end
  bool in_outage_ = false;
  std::vector<std::uint64_t> hit_;  // sessions, by disturbance
};

}  // namespace pns::loadgen
