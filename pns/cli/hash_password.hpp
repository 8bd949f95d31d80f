// SPDX-License-Identifier: BSD-3-Clause
//
// `pns hash-password`: the NT hash of a password, for a user's `nt_hash`.
#pragma once

namespace pns::cli {

// Reads one line from stdin, without echo on a terminal, and prints the hash in hexadecimal.
[[nodiscard]] int run_hash_password();

}  // namespace pns::cli
