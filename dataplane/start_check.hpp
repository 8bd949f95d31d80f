// SPDX-License-Identifier: BSD-3-Clause
//
// All that can be known about a start of pns-dataplane before it: `pns-dataplane --check` prints
// it, and the start begins with it. Opens no device and starts no EAL.
#pragma once

#include <string>
#include <vector>

#include "dataplane/start/eal.hpp"
#include "pns/config/config.hpp"
#include "pns/config/findings.hpp"
#include "pns/config/source.hpp"
#include "pns/contract/check_mode.hpp"

namespace pns::dataplane {

// The CPU, cores, huge pages, devices. One line each: the key, what is missing, and the remedy.
[[nodiscard]] std::vector<std::string> host_objections(const config::Config& config,
                                                       const HostFacts& host);

[[nodiscard]] config::Findings check_start(const config::Source& source, contract::CheckMode mode);

}  // namespace pns::dataplane
