// SPDX-License-Identifier: BSD-3-Clause
//
// Dhcpv6Result: what became of a DHCPv6 message of a subscriber. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns::model {

enum class Dhcpv6Result : std::uint8_t {
#define PNS_DHCPV6_RESULT(name, kind, help, reference) name,
#include "controlplane/model/dhcpv6_results.def"
#undef PNS_DHCPV6_RESULT
  kCount
};
inline constexpr std::size_t kDhcpv6Results = static_cast<std::size_t>(Dhcpv6Result::kCount);

struct Dhcpv6ResultInfo {
  std::string_view name;
  std::string_view kind;
};

// Indexed by Dhcpv6Result.
inline constexpr std::array<Dhcpv6ResultInfo, kDhcpv6Results> kDhcpv6ResultInfos = {{
#define PNS_DHCPV6_RESULT(name, kind, help, reference) {#name, #kind},
#include "controlplane/model/dhcpv6_results.def"
#undef PNS_DHCPV6_RESULT
}};

[[nodiscard]] constexpr std::string_view name_of(Dhcpv6Result result) noexcept {
  const auto index = static_cast<std::size_t>(result);
  return index < kDhcpv6Results ? kDhcpv6ResultInfos[index].name : "invalid";
}

}  // namespace pns::model
