// SPDX-License-Identifier: BSD-3-Clause
//
// `pns drain`: lets a running server end its calls without taking new ones, and waits for that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "pns/cli/client.hpp"

namespace pns::cli {

struct DrainOptions {
  std::optional<std::string> deadline;  // a duration, as in the configuration; none: no deadline
  bool cancel = false;
  bool status = false;  // asks only
  bool wait = true;     // until no call is left
};

// Result: exit status. Ctrl-C ends the waiting, not the drain.
[[nodiscard]] int run_drain(const ClientOptions& options, const DrainOptions& drain);

}  // namespace pns::cli
