// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table pools. Private to pns/config.
#pragma once

#include <map>
#include <string>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Errors go to the document, as those of check_pool_choice().
void read_pools(const Section& top, Document& document, std::map<std::string, Pool>& out);

// How pools are chosen, and which follows which.
void check_pool_choice(const Config& config, Document& document);

// Subscribers take the gateway of their pool for this host.
void add_gateways(Config& config);

}  // namespace pns::config
