// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table ports. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Errors go to the document.
void read_ports(const Section& top, Document& document, Ports& out);

}  // namespace pns::config
