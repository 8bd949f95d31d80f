// SPDX-License-Identifier: BSD-3-Clause
//
// pppd's file of secrets, chap-secrets: a line of client, server, secret and addresses for each
// user. accel-ppp reads the same format.
#pragma once

#include <string>
#include <string_view>

#include "pns/import/imported_server.hpp"

namespace pns::import {

struct ChapSecrets {
  std::string file;            // for remarks
  std::string server{};        // lines of other servers are left out; empty: none are
  bool are_nt_hashes = false;  // secrets are NT hashes in hexadecimal
  bool has_pools = false;      // the fourth word may be a pool, the fifth a rate
};

// Adds the users, and remarks on lines that make none. Secrets are never repeated in a remark.
void read_chap_secrets(std::string_view text, const ChapSecrets& how, ImportedServer& out);

}  // namespace pns::import
