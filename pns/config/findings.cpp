// SPDX-License-Identifier: BSD-3-Clause
#include "pns/config/findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace pns::config {
namespace {

constexpr std::string_view kError = "error: ";
constexpr std::string_view kWarning = "warning: ";
constexpr const char* kHost = "this host: ";

}  // namespace

Findings Findings::parse(std::string_view text) {
  Findings found;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with(kError)) found.errors.emplace_back(line.substr(kError.size()));
    if (line.starts_with(kWarning)) found.warnings.emplace_back(line.substr(kWarning.size()));
  }
  return found;
}

void Findings::add(const std::vector<ConfigError>& wrong) {
  for (const ConfigError& error : wrong) errors.push_back(error.to_string());
}

void Findings::add_host(const std::vector<std::string>& objections) {
  for (const std::string& objection : objections) errors.push_back(kHost + objection);
}

void Findings::warn_of_host(const std::string& warning) {
  if (!warning.empty()) warnings.push_back(kHost + warning);
}

void Findings::add(Findings others) {
  std::ranges::move(others.errors, std::back_inserter(errors));
  std::ranges::move(others.warnings, std::back_inserter(warnings));
}

void Findings::write(std::FILE* out) const {
  for (const std::string& error : errors) fmt::print(out, "{}{}\n", kError, error);
  for (const std::string& warning : warnings) fmt::print(out, "{}{}\n", kWarning, warning);
}

}  // namespace pns::config
