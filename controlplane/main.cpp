// SPDX-License-Identifier: BSD-3-Clause
//
// pns-control: the event-loop process. The supervisor starts it and grants it session memory, the
// TCP 1723 listeners and the connections of an earlier control process.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include "controlplane/process/control_process.hpp"
#include "controlplane/process/start_check.hpp"
#include "pns/config/source.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/contract/check_mode.hpp"
#include "pns/contract/supervisor_protocol.hpp"
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
  std::string check;
  app.add_option("--check", check, "check the start instead: configuration, start or restart");
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
  auto source = pns::config::take_source(config_file);
  if (!check.empty()) {
    const auto mode = pns::contract::check_mode_of(check);
    if (!mode) return 1;
    const auto found = pns::control::check_start(std::move(source), run_dir, *mode);
    found.write(stdout);
    return found.errors.empty() ? 0 : 1;
  }
  const pns::UniqueFd to_tell(::fcntl(supervisor_fd, F_DUPFD_CLOEXEC, 0));
  int status = 0;
  try {
    // Never destroyed: the scrape threads read it, and to end them takes two seconds.
    auto* const process =
        new pns::control::ControlProcess(std::move(source), run_dir, pns::UniqueFd(supervisor_fd));
    process->run();
  } catch (const std::exception& error) {
    pns::log::error("control failed", {{"reason", error.what()}});
    pns::contract::tell_failure(to_tell.get(), error.what());
    status = 1;
  }
  std::fflush(nullptr);
  ::_exit(status);
}
