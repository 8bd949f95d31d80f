// SPDX-License-Identifier: BSD-3-Clause
//
// `pns restart`: asks a running server to restart one of its processes and waits until it serves
// again.
#pragma once

#include <string>

#include "pns/cli/client.hpp"

namespace pns::cli {

struct RestartOptions {
  std::string what;  // control, dataplane, supervisor
  unsigned timeout_s = 30;
  // For control alone: the configuration before returns after so long, unless it is confirmed; 0:
  // never.
  unsigned confirm_within_s = 0;
  bool quiet = false;  // print nothing when it is done
};

// Prints one line. kRefused: the server refused, and goes on as it was, or it was not back in time.
[[nodiscard]] int run_restart(const ClientOptions& options, const RestartOptions& restart);

}  // namespace pns::cli
