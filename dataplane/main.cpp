// SPDX-License-Identifier: BSD-3-Clause
//
// pns-dataplane: the poll-mode process. Started by the supervisor, which grants it session memory,
// the TAPs and the socket to talk back. dataplane.hpp has all that it does.

#include <fcntl.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <string>

#include "dataplane/dataplane.hpp"
#include "dataplane/start_check.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/source.hpp"
#include "pns/contract/build_contract.hpp"
#include "pns/contract/check_mode.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/confinement.hpp"

int main(int argc, char** argv) {
  CLI::App app("PPTP dataplane; started by `pns run`, not by hand", "pns-dataplane");
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
            pns::contract::to_json(pns::contract::build_contract(), "pns-dataplane"), 0);
      },
      "print what this program was built to share with the others");
  CLI11_PARSE(app, argc, argv);
  pns::log::start(pns::log::Level::kInfo, pns::log::Format::kText, "dataplane");
  if (const auto begun = pns::privilege::begin_plane(); !begun) {
    pns::log::error("dataplane failed", {{"reason", begun.error()}});
    return 1;
  }
  const auto source = pns::config::take_source(config_file);
  if (!check.empty()) {
    const auto mode = pns::contract::check_mode_of(check);
    if (!mode) return 1;
    const auto found = pns::dataplane::check_start(source, *mode);
    found.write(stdout);
    return found.errors.empty() ? 0 : 1;
  }
  const pns::UniqueFd to_tell(::fcntl(supervisor_fd, F_DUPFD_CLOEXEC, 0));
  try {
    pns::dataplane::Dataplane(source, run_dir, pns::UniqueFd(supervisor_fd)).run();
    return 0;
  } catch (const std::exception& error) {
    pns::log::error("dataplane failed", {{"reason", error.what()}});
    pns::contract::tell_failure(to_tell.get(), error.what());
    return 1;
  }
}
