// SPDX-License-Identifier: BSD-3-Clause
//
// `pns doctor`: all checks of a host, in the order of docs/doctor.md.
#pragma once

#include "pns/config/config.hpp"
#include "pns/doctor/finding.hpp"
#include "pns/doctor/host.hpp"

namespace pns::doctor {

// At least one finding of each check.
[[nodiscard]] Findings examine(const config::Config& config, const Host& host);

}  // namespace pns::doctor
