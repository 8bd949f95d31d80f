// SPDX-License-Identifier: BSD-3-Clause
//
// pppd's file of secrets, chap-secrets: a line of client, server, secret and addresses for each
// user. accel-ppp reads the same format.
#pragma once

#include <string>
#include <string_view>

#include "pns/import/imported_server.hpp"

namespace pns::import {

// Adds the users, and remarks on lines that make none. `file`: for remarks. Secrets are never
// repeated in a remark.
void read_chap_secrets(std::string_view text, const std::string& file, ImportedServer& out);

}  // namespace pns::import
