// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the tables rates and rate_groups. Private to pns/config.
#pragma once

#include <map>
#include <string>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

void read_rates(const Section& top, Rates& out);

// Errors go to the document.
void read_rate_groups(const Section& top, Document& document,
                      std::map<std::string, RateGroup>& out);

}  // namespace pns::config
