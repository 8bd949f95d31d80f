// SPDX-License-Identifier: BSD-3-Clause
#include "pns/doctor/finding.hpp"

#include <array>

namespace pns::doctor {

std::string_view name_of(Verdict verdict) noexcept {
  constexpr std::array<std::string_view, 4> kNames = {"ok", "warning", "error", "skipped"};
  return kNames.at(static_cast<std::size_t>(verdict));
}

std::string Remedy::to_string() const {
  std::string text;
  const auto add = [&text](std::string_view label, std::string_view value) {
    if (value.empty()) return;
    if (!text.empty()) text += "; ";
    text.append(label).append(value);
  };
  std::string commands;
  for (const std::string& command : run) commands += (commands.empty() ? "" : " && ") + command;
  add("run: ", commands);
  add(run.empty() ? "configure: " : "or configure: ", configure);
  add("", advice);
  return text;
}

}  // namespace pns::doctor
