// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/contract_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "pns/contract/build_contract.hpp"

namespace pns::supervisor {

std::string contract_objection(std::string_view program, std::string_view printed,
                               bool with_handover) {
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
  const auto ours = contract::build_contract();
  for (const auto& [item, value] : ours.items) {
    if (item == "handover_version" && !with_handover) continue;
    const auto found = theirs.find(item);
    if (found == theirs.end())
      add(item, "missing", std::to_string(value));
    else if (*found != value)
      add(item, found->dump(), std::to_string(value));
  }
  // What only the other one knows of, it shares in a way that we do not.
  for (const auto& [item, value] : theirs.items())
    if (item != "program" && item != "version" &&
        std::ranges::find(ours.items, item, &contract::BuildContract::Item::first) ==
            ours.items.end())
      add(item, value.dump(), "unknown");
  if (differences.empty()) return {};
  return fmt::format("{} {} does not fit the running server: {}; see docs/upgrade.md", program,
                     theirs["version"].dump(), differences);
}

}  // namespace pns::supervisor
