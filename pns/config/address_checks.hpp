// SPDX-License-Identifier: BSD-3-Clause
//
// The checks of addresses over all tables. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Pools, gateways and interfaces must not share any address. Errors go to the document.
void check_addresses(const Config& config, Document& document);

}  // namespace pns::config
