// SPDX-License-Identifier: BSD-3-Clause
//
// `pns reload`: shows what a changed configuration file changes and when, and puts into force what
// needs no more than a restart of control. No call ends.
#pragma once

#include <optional>
#include <string>

#include "pns/cli/client.hpp"

namespace pns::cli {

struct ReloadOptions {
  bool dry_run = false;                       // show, and change nothing
  std::optional<std::string> confirm_within;  // a duration, as in the configuration
  bool confirm = false;                       // keep what an earlier reload has put into force
  unsigned timeout_s = 30;                    // until control must serve again
};

// kRefused: the file is wrong, or the server refused; it goes on as it was.
[[nodiscard]] int run_reload(const ClientOptions& options, const ReloadOptions& reload);

}  // namespace pns::cli
