// SPDX-License-Identifier: BSD-3-Clause
//
// Findings: what a check has found. A plane prints its own for `pns check`, which starts it.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "pns/config/config.hpp"

namespace pns::config {

struct Findings {
  std::vector<std::string> errors;    // each keeps the server from starting
  std::vector<std::string> warnings;  // unwise, or less than what is configured

  // Reads what write() wrote; other lines are skipped.
  [[nodiscard]] static Findings parse(std::string_view text);

  void add(const std::vector<ConfigError>& wrong);
  // Findings of this host: another one may have what the configuration asks for.
  void add_host(const std::vector<std::string>& objections);
  // The same, and the server starts. Empty: no warning.
  void warn_of_host(const std::string& warning);
  void add(Findings others);
  // One line each.
  void write(std::FILE* out) const;
};

}  // namespace pns::config
