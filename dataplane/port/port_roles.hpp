// SPDX-License-Identifier: BSD-3-Clause
//
// The two ports by role, in the order of arrays that have an entry for each.
#pragma once

#include <array>
#include <cstddef>

#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

inline constexpr std::array kPortRoles = {contract::PortRole::kAccess, contract::PortRole::kCore};

[[nodiscard]] constexpr std::size_t index_of(contract::PortRole role) noexcept {
  return static_cast<std::size_t>(role);
}

}  // namespace pns::dataplane
