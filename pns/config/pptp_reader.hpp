// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table pptp. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// Errors go to the document.
void read_pptp(const Section& section, Document& document, Pptp& out);

}  // namespace pns::config
