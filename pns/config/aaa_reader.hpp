// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table aaa. Private to pns/config.
#pragma once

#include <string>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Errors go to the document. `node_name`: the default of aaa.radius.nas_identifier.
void read_aaa(const Section& top, const std::string& node_name, Document& document, Aaa& out);

}  // namespace pns::config
