// SPDX-License-Identifier: BSD-3-Clause
//
// `pns check`: whether `pns run` can start with a configuration, on this host.
#pragma once

#include "pns/supervisor/preflight.hpp"

namespace pns::cli {

// Prints `FILE: ok`, or one line per error (both on stdout; warnings on stderr). Returns the exit
// status: 0 or 1.
[[nodiscard]] int run_check(const supervisor::PreflightOptions& options);

}  // namespace pns::cli
