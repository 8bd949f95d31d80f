// SPDX-License-Identifier: BSD-3-Clause
//
// A port over several devices: DPDK's bonding driver (active-backup, IEEE 802.3ad). It sees a link
// that fails by the interrupt of the member's driver, or by asking it every 10 ms. Main thread, at
// start. LACP needs a call of the transmit function at least every 100 ms, also when the workers
// send nothing: DPDK's alarm thread does that, on a transmit queue of its own where the members
// have one to spare.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

struct BondMember {
  std::string name;  // as DPDK knows it
  std::uint16_t ethdev_id = 0;
};

struct Bond {
  std::uint16_t ethdev_id = 0;
  std::vector<BondMember> members;
};

// Makes the members and the bond; nothing is configured or started. Error: DPDK's reason.
[[nodiscard]] std::expected<Bond, std::string> make_bond(contract::PortRole role,
                                                         const config::Device& device);

// Calls the transmit function of a started bond every 50 ms, until stop_lacp(). `shared`: workers
// use that queue too.
void start_lacp(contract::PortRole role, std::uint16_t ethdev_id, std::uint16_t queue, bool shared);
void stop_lacp(contract::PortRole role) noexcept;

}  // namespace pns::dataplane
