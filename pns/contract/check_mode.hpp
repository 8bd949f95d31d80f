// SPDX-License-Identifier: BSD-3-Clause
//
// How a plane checks its start: the value of its option --check, which `pns check` gives.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pns::contract {

enum class CheckMode : std::uint8_t {
  kConfiguration,  // the files alone, of whatever host
  kStart,          // this host too; no process of this server runs
  kRestart,        // this host too; the process whose place the plane takes still runs
};

[[nodiscard]] constexpr std::string_view name_of(CheckMode mode) noexcept {
  return mode == CheckMode::kConfiguration ? "configuration"
         : mode == CheckMode::kStart       ? "start"
                                           : "restart";
}

[[nodiscard]] constexpr std::optional<CheckMode> check_mode_of(std::string_view name) noexcept {
  for (const CheckMode mode : {CheckMode::kConfiguration, CheckMode::kStart, CheckMode::kRestart})
    if (name_of(mode) == name) return mode;
  return std::nullopt;
}

}  // namespace pns::contract
