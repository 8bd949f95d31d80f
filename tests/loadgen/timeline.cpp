// SPDX-License-Identifier: BSD-3-Clause
#include "tests/loadgen/timeline.hpp"

#include <fmt/format.h>

#include <string>
#include <utility>

namespace pns::loadgen {

Timeline::Timeline(std::ostream& out, TimePoint start, Duration step)
    : out_(out), start_(start), step_(step), next_(start + step) {
  out_ << "time_s,dialling,waiting_call,in_ppp,up,failed,lost_calls,retries,set_ups_done,"
          "setup_p99_ms,traffic_sent,traffic_received"
       << std::endl;
}

void Timeline::write(const Counts& counts, TimePoint now) {
  const std::string p99 =
      admitted_.count() == 0
          ? ""
          : fmt::format("{:.3f}", static_cast<double>(admitted_.percentile(0.99).count()) / 1e6);
  out_ << fmt::format("{:.3f},{},{},{},{},{},{},{},{},{},{},{}",
                      std::chrono::duration<double>(now - start_).count(), counts.dialling,
                      counts.waiting_call, counts.in_ppp, counts.up, counts.failed,
                      counts.lost_calls, counts.retries, counts.set_ups, p99,
                      counts.traffic_sent - std::exchange(sent_, counts.traffic_sent),
                      counts.traffic_received - std::exchange(received_, counts.traffic_received))
       << std::endl;
  admitted_.clear();
  // A step that the process slept through has no row.
  while (next_ <= now) next_ += step_;
}

}  // namespace pns::loadgen
