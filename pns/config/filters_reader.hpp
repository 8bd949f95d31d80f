// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table filters. Private to pns/config.
#pragma once

#include <map>
#include <string>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Errors go to the document.
void read_filters(const Section& top, Document& document, std::map<std::string, Filter>& out);

}  // namespace pns::config
