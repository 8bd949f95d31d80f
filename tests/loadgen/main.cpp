// SPDX-License-Identifier: BSD-3-Clause
//
// pns-loadgen: emulates many PPTP subscribers and PACs against one server and prints what happened
// as JSON (docs/loadgen.md). One thread, one Asio loop; one raw GRE socket for each source address
// (needs CAP_NET_RAW). Give each source address up to 65,535 sessions.

#include <sys/resource.h>

#include <algorithm>
#include <exception>
#include <iostream>

#include "tests/loadgen/echo.hpp"
#include "tests/loadgen/options.hpp"
#include "tests/loadgen/report.hpp"
#include "tests/loadgen/run.hpp"

namespace {

constexpr rlim_t kOtherDescriptors = 1000;

// A descriptor for each control connection.
void raise_descriptor_limit(unsigned sessions) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = std::max<rlim_t>(limit.rlim_max, sessions + kOtherDescriptors);
  const rlimit higher{wanted, wanted};
  if (::setrlimit(RLIMIT_NOFILE, &higher) == 0) return;
  limit.rlim_cur = limit.rlim_max;  // not privileged
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace pns::loadgen;
  int status = 0;
  const auto command = parse_command_line(argc, argv, status);
  if (!command) return status;
  raise_descriptor_limit(command->run.sessions);
  try {
    if (command->echo) serve_echo(*command->echo);
    Run run(command->run);
    const Outcome outcome = run.go();
    std::cout << to_json(outcome) << std::endl;
    return exit_status(outcome);
  } catch (const std::exception& error) {
    std::cerr << "pns-loadgen: " << error.what() << '\n';
    return 2;
  }
}
