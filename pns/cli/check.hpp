// SPDX-License-Identifier: BSD-3-Clause
//
// `pns check`: reads the configuration and the users file as `pns run` would.
#pragma once

#include <filesystem>

namespace pns::cli {

// Prints `FILE: ok`, or one line per error (both on stdout; warnings on stderr). Returns the exit
// status: 0 or 1.
[[nodiscard]] int run_check(const std::filesystem::path& config_file);

}  // namespace pns::cli
