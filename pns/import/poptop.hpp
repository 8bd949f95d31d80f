// SPDX-License-Identifier: BSD-3-Clause
//
// poptop: pptpd.conf, the file of pppd's options that it names, and pppd's chap-secrets.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "pns/import/accel_ppp.hpp"
#include "pns/import/imported_server.hpp"

namespace pns::import {

// `secrets`: path of chap-secrets.
[[nodiscard]] ImportedServer read_poptop(std::string_view text, const std::string& file,
                                         const std::string& secrets, const ReadFile& read_file);

}  // namespace pns::import
