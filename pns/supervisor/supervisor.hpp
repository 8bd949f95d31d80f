// SPDX-License-Identifier: BSD-3-Clause
//
// `pns run`: the process that owns what must outlive a plane (TAPs, listeners, accepted TCP
// sockets, session memory), starts both planes, gives them these, and starts a plane again that
// ends, whatever ended it. Parses nothing from the network and links no DPDK. One thread.
#pragma once

#include <filesystem>

namespace pns::supervisor {

struct SupervisorOptions {
  std::filesystem::path config_file;
  std::filesystem::path run_dir;
  int resume_fd = -1;  // what the supervisor left whose place this one takes; -1: a first start
};

// Runs until SIGTERM or SIGINT. Prints `ready` on stdout when both planes serve for the first time.
// With resume_fd it goes on where another supervisor, in this very process, left off; when it
// cannot it ends the planes, which tell the peers. Returns the exit status: 0 after a polite end, 1
// when it could not start.
[[nodiscard]] int run_supervisor(const SupervisorOptions& options);

}  // namespace pns::supervisor
