// SPDX-License-Identifier: BSD-3-Clause
//
// The host that this process runs on, in its network namespace. Runs nft(8) and `pns check`.
#pragma once

#include <filesystem>

#include "pns/doctor/host.hpp"

namespace pns::doctor {

// Fills in everything but server.stats. The rest is left out when it cannot be read; the checks say
// so.
[[nodiscard]] Host read_host(const std::filesystem::path& config_file,
                             const std::filesystem::path& run_dir);

}  // namespace pns::doctor
