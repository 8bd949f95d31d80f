// SPDX-License-Identifier: BSD-3-Clause
//
// `pns import`: turns the configuration of another PPTP server into ours.
#pragma once

#include <filesystem>

namespace pns::cli {

struct ImportOptions {
  std::filesystem::path file;
  std::filesystem::path output;                             // directory of the new files
  std::filesystem::path secrets = "/etc/ppp/chap-secrets";  // of poptop
  bool force = false;                                       // write over files that are there
};

// Writes the files and prints what was not carried over, a line each. kRefused: a file cannot be
// read or written; then nothing was written over.
[[nodiscard]] int run_import_accel_ppp(const ImportOptions& options);
[[nodiscard]] int run_import_poptop(const ImportOptions& options);

}  // namespace pns::cli
