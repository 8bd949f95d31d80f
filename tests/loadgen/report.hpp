// SPDX-License-Identifier: BSD-3-Clause
//
// The result of a run, as JSON (docs/loadgen.md) and as an exit status.
#pragma once

#include <string>

#include "pns/base/time.hpp"
#include "tests/loadgen/deaths.hpp"
#include "tests/loadgen/disturber.hpp"
#include "tests/loadgen/pac_connection.hpp"
#include "tests/loadgen/site.hpp"

namespace pns::loadgen {

struct Outcome {
  const Site& site;
  const AnswerCounts& answers;
  const Deaths& deaths;
  const Disturber& disturber;
  Duration set_up_time{};  // of all sessions together
  std::string stopped;     // why the run was cut short; empty: it was not
};

[[nodiscard]] std::string to_json(const Outcome& outcome);
// 0: every session asked for came up (or was not answered so, as --answer says), none failed, no
// more were lost than may be, all ended politely, no more of the traffic was lost than may be, and
// every session came back after every disturbance. Else 1.
[[nodiscard]] int exit_status(const Outcome& outcome);

}  // namespace pns::loadgen
