// SPDX-License-Identifier: BSD-3-Clause
//
// Reads the list aaa.radius.attributes. Private to pns/config.
#pragma once

#include <vector>

#include "pns/config/config.hpp"
#include "pns/config/reader.hpp"

namespace pns::config {

// `radius`: the table aaa.radius. Errors go to the document.
void read_radius_attributes(const Section& radius, Document& document,
                            std::vector<RadiusAttribute>& out);

}  // namespace pns::config
