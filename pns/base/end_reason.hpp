// SPDX-License-Identifier: BSD-3-Clause
//
// EndReason: why a call ended, was refused, or its control connection closed. Made from
// end_reasons.def. kNone means "has not ended".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns {

enum class EndReason : std::uint8_t {
  kNone = 0,
#define PNS_END(name, stage, help) name,
#include "pns/base/end_reasons.def"
#undef PNS_END
  kCount
};

inline constexpr std::size_t kEndReasonCount = static_cast<std::size_t>(EndReason::kCount);

struct EndReasonInfo {
  std::string_view name;
  std::string_view stage;
  std::string_view help;
};

// Indexed by EndReason.
inline constexpr std::array<EndReasonInfo, kEndReasonCount> kEndReasons = {{
    {"none", "", "has not ended"},
#define PNS_END(name, stage, help) {#name, #stage, help},
#include "pns/base/end_reasons.def"
#undef PNS_END
}};

[[nodiscard]] constexpr const EndReasonInfo& info_of(EndReason reason) noexcept {
  const auto index = static_cast<std::size_t>(reason);
  return kEndReasons[index < kEndReasonCount ? index : 0];
}
[[nodiscard]] constexpr std::string_view name_of(EndReason reason) noexcept {
  return info_of(reason).name;
}

}  // namespace pns
