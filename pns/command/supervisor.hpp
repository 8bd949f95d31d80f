// SPDX-License-Identifier: BSD-3-Clause
//
// `pns run`: the process that owns what must outlive a plane (TAPs, listeners, accepted TCP
// sockets, session memory), starts both planes, gives them these, and starts a plane again that
// ends, whatever ended it. Parses nothing from the network and links no DPDK. One thread.
#pragma once

#include <filesystem>

namespace pns::command {

struct SupervisorOptions {
  std::filesystem::path config_file;
  std::filesystem::path run_dir;
};

// Runs until SIGTERM or SIGINT. Prints `ready` on stdout when both planes serve for the first time.
// Returns the exit status: 0 after a polite end, 1 when it could not start.
[[nodiscard]] int run_supervisor(const SupervisorOptions& options);

}  // namespace pns::command
