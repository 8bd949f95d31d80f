// SPDX-License-Identifier: BSD-3-Clause
//
// pns-control: the event-loop process. The supervisor starts it and grants it session memory, the
// TCP 1723 listeners and the connections of an earlier control process.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "controlplane/process/control_process.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/confinement.hpp"

int main(int argc, char** argv) {
  CLI::App app("PPTP control process; started by `pns run`, not by hand", "pns-control");
  std::string config_file;
  std::string run_dir = "/run/pns";
  int supervisor_fd = -1;
  app.add_option("--config", config_file, "configuration file")->required();
  app.add_option("--run-dir", run_dir, "directory of sockets");
  app.add_option("--supervisor-fd", supervisor_fd, "socket to the supervisor")->required();
  app.add_flag_callback(
      "--contract",
      [] {
        if (const std::string objection = pns::privilege::drop_objection(); !objection.empty())
          throw CLI::CallForVersion(objection, 1);
        throw CLI::CallForVersion(
            pns::contract::to_json(pns::contract::build_contract(), "pns-control"), 0);
      },
      "print the versions of everything that this program shares with the others");
  CLI11_PARSE(app, argc, argv);
  pns::log::start(pns::log::Level::kInfo, pns::log::Format::kText, "control");
  if (const auto begun = pns::privilege::begin_plane(); !begun) {
    pns::log::error("control failed", {{"reason", begun.error()}});
    return 1;
  }
  int status = 0;
  try {
    // Never destroyed: the scrape threads read it, and to end them takes two seconds.
    auto* const process =
        new pns::control::ControlProcess(config_file, run_dir, pns::UniqueFd(supervisor_fd));
    process->run();
  } catch (const std::exception& error) {
    pns::log::error("control failed", {{"reason", error.what()}});
    status = 1;
  }
  std::fflush(nullptr);
  ::_exit(status);
}
