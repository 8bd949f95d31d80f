// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the table aaa.realms and the key aaa.default_realm. Private to pns/config.
#pragma once

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// After `order` and `radius` of `out`. Errors go to the document.
void read_realms(const Section& aaa, Document& document, Aaa& out);

}  // namespace pns::config
