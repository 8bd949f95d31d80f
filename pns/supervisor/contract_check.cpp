// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/contract_check.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace pns::supervisor {

std::string contract_objection(std::string_view program, std::string_view printed,
                               const contract::BuildContract& ours, bool with_handover) {
  using Json = nlohmann::ordered_json;
  const Json theirs = Json::parse(printed, nullptr, false);
  if (!theirs.is_object() || !theirs.contains("program") || !theirs.contains("version"))
    return fmt::format("{} --contract did not say what it was built with; see docs/upgrade.md",
                       program);
  if (theirs["program"] != program)
    return fmt::format("the executable {} says that it is {}", program, theirs["program"].dump());
  std::string differences;
  const auto add = [&](std::string_view item, const std::string& there, const std::string& here) {
    differences += fmt::format("{}{} is {} there and {} here", differences.empty() ? "" : ", ",
                               item, there, here);
  };
  const auto number = [&theirs](const std::string& name) -> std::optional<std::uint32_t> {
    const auto found = theirs.find(name);
    if (found == theirs.end() || !found->is_number_unsigned() || *found > UINT32_MAX)
      return std::nullopt;
    return found->get<std::uint32_t>();
  };
  const auto text = [](const contract::FormatVersion& version) {
    return fmt::format("{} (compatible from {})", version.version, version.min_compatible);
  };
  for (const auto& [name, here] : ours.formats) {
    if (name == contract::BuildContract::kHandOver && !with_handover) continue;
    const auto version = number(fmt::format("{}_version", name));
    const auto min_compatible = number(fmt::format("{}_min_compatible", name));
    if (!version || !min_compatible)
      add(fmt::format("{}_version", name), "missing", text(here));
    else if (const contract::FormatVersion there{*version, *min_compatible}; !fit(there, here))
      add(fmt::format("{}_version", name), text(there), text(here));
  }
  for (const auto& [item, value] : ours.sizes) {
    const auto found = theirs.find(item);
    if (found == theirs.end())
      add(item, "missing", std::to_string(value));
    else if (*found != value)
      add(item, found->dump(), std::to_string(value));
  }
  if (differences.empty()) return {};
  return fmt::format("{} {} does not fit the running server: {}; see docs/upgrade.md", program,
                     theirs["version"].dump(), differences);
}

}  // namespace pns::supervisor
