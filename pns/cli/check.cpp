// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/check.hpp"

#include <fmt/format.h>

namespace pns::cli {

int run_check(const supervisor::PreflightOptions& options) {
  const config::Findings found = supervisor::check_start(options);
  for (const auto& warning : found.warnings) fmt::print(stderr, "warning: {}\n", warning);
  for (const auto& error : found.errors) fmt::print("{}\n", error);
  if (!found.errors.empty()) return 1;
  fmt::print("{}: ok\n", options.config_file.string());
  return 0;
}

}  // namespace pns::cli
