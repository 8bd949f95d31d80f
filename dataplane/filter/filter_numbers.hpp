// SPDX-License-Identifier: BSD-3-Clause
//
// The numbers that filters and rate groups have in session memory. A session of an earlier
// dataplane keeps its filter and its group: a number stays the same name's as long as a session has
// it. Main only, before workers start.
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <string>
#include <vector>

#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// The same of the groups that share a rate. A session keeps its group; a group whose name is gone
// has no limit.
struct NameNumbers {
  std::map<std::string, std::uint8_t> by_name;
  std::uint32_t orphans = 0;  // numbers that sessions have, of names that are gone
};

// Writes the marks of `filters` into the header of session memory, and frees the numbers that
// neither a name nor a session needs. Error: too many are in use.
[[nodiscard]] std::expected<NameNumbers, std::string> assign_filter_numbers(
    contract::SessionMemory& memory, const std::map<std::string, config::Filter>& filters);
[[nodiscard]] std::expected<NameNumbers, std::string> assign_group_numbers(
    contract::SessionMemory& memory, const std::map<std::string, config::RateGroup>& groups);

}  // namespace pns::dataplane
