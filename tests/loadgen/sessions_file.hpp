// SPDX-License-Identifier: BSD-3-Clause
//
// The sessions as their clients see them, as a file (--sessions-file): what an audit of the server
// compares with the server's own view.
#pragma once

#include <string>

#include "tests/loadgen/site.hpp"

namespace pns::loadgen {

// A JSON array of the sessions that are in set-up or up. The file is replaced as a whole. Throws
// std::runtime_error when it cannot be.
void write_sessions_file(const Site& site, const std::string& path);

}  // namespace pns::loadgen
