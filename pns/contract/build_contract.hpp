// SPDX-License-Identifier: BSD-3-Clause
//
// BuildContract: what an executable of this server was built to share with the others. `--contract`
// prints it, and the supervisor asks a new executable for it before it ends the old process: one
// that would read session memory, the channel or the resume store in another way must not start.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pns::contract {

// Of the channel between the planes (channel.hpp, messages.hpp).
inline constexpr std::uint32_t kChannelVersion = 3;
// Of the records in the resume store. Raise when a field changes its meaning: the records are how a
// control process finds its calls again.
inline constexpr std::uint32_t kStoreVersion = 4;
// The oldest version whose programs can still read the records that this one writes.
inline constexpr std::uint32_t kStoreMinCompatible = 4;
// Of what a supervisor leaves to the one that takes its place (pns/supervisor/handover.hpp).
inline constexpr std::uint32_t kHandOverVersion = 1;

struct BuildContract {
  static constexpr std::size_t kCount = 9;
  using Item = std::pair<std::string_view, std::uint64_t>;
  std::array<Item, kCount> items;  // all must be equal
};

// Of the executable this is linked into.
[[nodiscard]] BuildContract build_contract() noexcept;

// One line of JSON: {"program": "pns-control", "version": "0.1.0", …every item}.
[[nodiscard]] std::string to_json(const BuildContract& contract, std::string_view program);

}  // namespace pns::contract
