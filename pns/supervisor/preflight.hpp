// SPDX-License-Identifier: BSD-3-Clause
//
// Preflight: everything that can be known about a start before it. The supervisor's part is checked
// here, each plane's part by its own executable (--check), with the functions that the start calls.
// `pns check` prints the result.
#pragma once

#include <filesystem>
#include <string>

#include "pns/config/findings.hpp"

namespace pns::supervisor {

// In place of --run-dir and --process.
inline constexpr const char* kCheckRunDirVariable = "PNS_CHECK_RUN_DIR";
inline constexpr const char* kCheckProcessVariable = "PNS_CHECK_PROCESS";

struct PreflightOptions {
  std::filesystem::path config_file;
  std::filesystem::path run_dir;
  bool host = true;     // false: the files alone
  std::string process;  // control, dataplane, supervisor: its start alone; empty: of all three
};

// Reads the copies that the environment names (config::take_source), else the files. Blocks for as
// long as the executables take.
[[nodiscard]] config::Findings check_start(const PreflightOptions& options);

}  // namespace pns::supervisor
