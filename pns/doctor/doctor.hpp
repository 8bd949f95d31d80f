// SPDX-License-Identifier: BSD-3-Clause
//
// `pns doctor`: all checks of a host, in the order of docs/doctor.md.
#pragma once

#include <chrono>

#include "pns/config/config.hpp"
#include "pns/doctor/finding.hpp"
#include "pns/doctor/host.hpp"
#include "pns/doctor/time_limit.hpp"

namespace pns::doctor {

// At least one finding of each check. One that takes longer than `limit`, or that needs a part of
// the host that gave no answer, has a warning that says so.
[[nodiscard]] Findings examine(const config::Config& config, const Host& host,
                               std::chrono::milliseconds limit = kCheckLimit);

}  // namespace pns::doctor
