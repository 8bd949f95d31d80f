// SPDX-License-Identifier: BSD-3-Clause
//
// FormatVersion: the version of a format that processes share, and how far back it goes on with
// others. Two builds fit when each knows at least what the other expects. Plain values.
//
// An addition raises `version` alone. `min_compatible` follows when an old reader or writer would
// do harm: a field has another meaning, place or size, or one that was optional is expected.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pns::contract {

struct FormatVersion {
  std::uint32_t version = 0;
  std::uint32_t min_compatible = 0;  // of the partner's version
  friend constexpr bool operator==(const FormatVersion&, const FormatVersion&) = default;
};

[[nodiscard]] constexpr bool fit(FormatVersion one, FormatVersion other) noexcept {
  return one.version >= other.min_compatible && other.version >= one.min_compatible;
}

// The versions of data that both have written: a reader that fits them fits both writers.
[[nodiscard]] constexpr FormatVersion together(FormatVersion one, FormatVersion other) noexcept {
  return {.version = std::min(one.version, other.version),
          .min_compatible = std::max(one.min_compatible, other.min_compatible)};
}

}  // namespace pns::contract
