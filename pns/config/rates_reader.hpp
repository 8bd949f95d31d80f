// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table rates. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

void read_rates(const Section& top, Rates& out);

}  // namespace pns::config
