// SPDX-License-Identifier: BSD-3-Clause
//
// PortLoss: what a port counts outside the workers. Made from port_losses.def; one octet, fit for
// shared memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pns {

enum class PortLoss : std::uint8_t {
#define PNS_PORT_LOSS(name, kind, source, help) name,
#include "pns/base/port_losses.def"
#undef PNS_PORT_LOSS
  kCount
};

inline constexpr std::size_t kPortLossCount = static_cast<std::size_t>(PortLoss::kCount);

// kReceive: lost before a worker saw it. kTransmit: lost after the port had taken it. kEvent: no
// packet by itself.
enum class PortLossKind : std::uint8_t { kReceive, kTransmit, kEvent };

struct PortLossInfo {
  std::string_view name;
  PortLossKind kind;
  std::string_view kind_name;
  std::string_view help;
};

namespace port_loss_kinds {  // the words of port_losses.def
inline constexpr PortLossKind receive = PortLossKind::kReceive;
inline constexpr PortLossKind transmit = PortLossKind::kTransmit;
inline constexpr PortLossKind event = PortLossKind::kEvent;
}  // namespace port_loss_kinds

// Indexed by PortLoss.
inline constexpr std::array<PortLossInfo, kPortLossCount> kPortLosses = {{
#define PNS_PORT_LOSS(name, kind, source, help) {#name, port_loss_kinds::kind, #kind, help},
#include "pns/base/port_losses.def"
#undef PNS_PORT_LOSS
}};

[[nodiscard]] constexpr const PortLossInfo& info_of(PortLoss loss) noexcept {
  return kPortLosses[static_cast<std::size_t>(loss)];
}

}  // namespace pns
