// SPDX-License-Identifier: BSD-3-Clause
//
// `pns doctor`: the things that stand between this host and working calls, and what to do.
#pragma once

#include <filesystem>

#include "pns/cli/client.hpp"

namespace pns::cli {

inline constexpr int kUsageError = 2;

struct DoctorOptions {
  std::filesystem::path config_file;
};

// Prints one line for each finding. Result: 0 without errors, 1 with errors, kUsageError when the
// configuration cannot be read.
[[nodiscard]] int run_doctor(const ClientOptions& options, const DoctorOptions& doctor);

}  // namespace pns::cli
