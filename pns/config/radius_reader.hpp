// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table aaa.radius. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// `node_name`: the default of nas_identifier. Errors go to the document.
void read_radius(const Section& section, const std::string& node_name, Document& document,
                 Radius& out);

}  // namespace pns::config
