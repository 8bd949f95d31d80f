// SPDX-License-Identifier: BSD-3-Clause
//
// The three processes of a server, as they are numbered in session memory and in requests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pns::contract {

enum class Process : std::uint32_t { kControl = 0, kDataplane = 1, kSupervisor = 2 };
inline constexpr std::size_t kProcesses = 3;
inline constexpr std::array<std::string_view, kProcesses> kProcessNames = {"control", "dataplane",
                                                                           "supervisor"};

[[nodiscard]] constexpr std::string_view name_of(Process process) noexcept {
  return kProcessNames[static_cast<std::size_t>(process)];
}

// Empty: no process is called so.
[[nodiscard]] constexpr std::optional<Process> process_of(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kProcesses; ++i)
    if (kProcessNames[i] == name) return static_cast<Process>(i);
  return std::nullopt;
}

}  // namespace pns::contract
