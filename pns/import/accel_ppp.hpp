// SPDX-License-Identifier: BSD-3-Clause
//
// accel-ppp's configuration file, accel-ppp.conf: sections of key=value lines. Keys of other
// protocols than PPTP are passed over in silence; every other key is carried over or has a remark.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "pns/import/imported_server.hpp"

namespace pns::import {

// The text of another file that the configuration names; empty: it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

[[nodiscard]] ImportedServer read_accel_ppp(std::string_view text, const std::string& file,
                                            const ReadFile& read_file);

}  // namespace pns::import
