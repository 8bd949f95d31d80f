// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table pptp.limits. Private to pns/config.
#pragma once

#include <cstdint>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// `max_connections`: of all sources, from which the share of one source follows. Errors go to the
// document.
void read_source_limits(const Section& section, std::uint32_t max_connections, Document& document,
                        SourceLimits& out);

}  // namespace pns::config
