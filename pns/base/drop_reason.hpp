// SPDX-License-Identifier: BSD-3-Clause
//
// DropReason: why the dataplane dropped a packet. Made from drop_reasons.def; one octet, fit for
// shared memory. kNone means "not dropped".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns {

enum class DropReason : std::uint8_t {
  kNone = 0,
#define PNS_DROP(name, direction, help, reference) name,
#include "pns/base/drop_reasons.def"
#ifdef PNS_CONTRACT_TRIAL  // pns/contract/build_contract.hpp
  contract_trial,
#endif
#undef PNS_DROP
  kCount
};

inline constexpr std::size_t kDropReasonCount = static_cast<std::size_t>(DropReason::kCount);

struct DropReasonInfo {
  std::string_view name;
  std::string_view direction;
  std::string_view help;
  std::string_view reference;
};

// Indexed by DropReason.
inline constexpr std::array<DropReasonInfo, kDropReasonCount> kDropReasons = {{
    {"none", "both", "not dropped", ""},
#define PNS_DROP(name, direction, help, reference) {#name, #direction, help, reference},
#include "pns/base/drop_reasons.def"
#ifdef PNS_CONTRACT_TRIAL
    {"contract_trial", "upstream", "GRE packet for Call ID 65535, which has no session", ""},
#endif
#undef PNS_DROP
}};

[[nodiscard]] constexpr std::string_view name_of(DropReason reason) noexcept {
  const auto index = static_cast<std::size_t>(reason);
  return index < kDropReasonCount ? kDropReasons[index].name : "invalid";
}

}  // namespace pns
