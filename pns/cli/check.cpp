// SPDX-License-Identifier: BSD-3-Clause
#include "pns/cli/check.hpp"

#include <fmt/format.h>

#include "pns/config/config.hpp"

namespace pns::cli {

int run_check(const std::filesystem::path& config_file) {
  const auto print_all = [](std::FILE* out, const std::vector<config::ConfigError>& errors) {
    for (const auto& error : errors) fmt::print(out, "{}\n", error.to_string());
  };
  const auto config = config::load(config_file);
  if (!config) {
    print_all(stdout, config.error());
    return 1;
  }
  std::vector<config::ConfigError> warnings;
  const auto users = config::load_users(*config, &warnings);
  for (auto& warning : warnings) warning.reason = "warning: " + warning.reason;
  print_all(stderr, warnings);
  if (!users) {
    print_all(stdout, users.error());
    return 1;
  }
  fmt::print("{}: ok\n", config_file.string());
  return 0;
}

}  // namespace pns::cli
