// SPDX-License-Identifier: BSD-3-Clause
//
// Disturbance: one thing that is done on purpose to the lines of many sessions at one instant. A
// plain value.
#pragma once

#include <cstdint>

#include "pns/base/time.hpp"

namespace pns::loadgen {

// An outage loses every packet of its directions from begin to end. A gap has begin == end and
// acts upstream: the sender's GRE numbers and MPPE counts move on by `gap`, as if so many packets
// had been lost.
struct Disturbance {
  Duration begin{};  // from the first packet of traffic
  Duration end{};
  bool upstream = true;
  bool downstream = true;
  std::uint32_t gap = 0;  // packets; 0: an outage
};

}  // namespace pns::loadgen
