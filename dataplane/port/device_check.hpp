// SPDX-License-Identifier: BSD-3-Clause
//
// Whether the host has the device of a port, before anything opens it. Reads sysfs only. Start-up.
#pragma once

#include <filesystem>
#include <string>

#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

[[nodiscard]] std::string role_name(contract::PortRole role);

// One line that names the key, the device and what is missing; empty: nothing is. A TAP is the
// supervisor's. `sys`: where sysfs is mounted.
[[nodiscard]] std::string device_objection(contract::PortRole role, const config::Config& config,
                                           const std::filesystem::path& sys = "/sys");

// The compiled XDP program of a port lies beside the executable: pns-xdp-access.o, -core.o,
// -kernel.o, and -link.o where both ports are one interface.
[[nodiscard]] std::filesystem::path xdp_program(contract::PortRole role,
                                                const config::Ports& ports);

}  // namespace pns::dataplane
