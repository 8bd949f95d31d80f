// SPDX-License-Identifier: BSD-3-Clause
//
// `pns run`, from its options to a supervisor that serves.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "pns/config/findings.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/confinement.hpp"
#include "pns/supervisor/probe.hpp"
#include "pns/supervisor/snapshot.hpp"
#include "pns/supervisor/supervisor.hpp"
#include "pns/supervisor/supervisor_parts.hpp"

namespace pns::supervisor {
namespace {

using std::chrono::milliseconds;

constexpr auto kCheckTime = std::chrono::seconds(60);

// `pns check` in a process of its own: this one reads no users. Returns its warnings; the error is
// all that it printed.
std::expected<std::vector<std::string>, std::string> check_start_of(
    const SupervisorOptions& options, const Snapshot& configuration) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return std::unexpected("/proc/self/exe: " + error.message() + "\n");
  auto probe =
      Probe::start({program.string(), "check", "--config", options.config_file.string()},
                   Clock::now() + kCheckTime, Probe::Output::kWithErrors,
                   {.source = &configuration.source(), .run_dir = options.run_dir.string()});
  if (!probe) return std::unexpected(probe.error() + "\n");
  if (!probe->wait()) return std::unexpected(std::string("pns check does not end\n"));
  const std::string& output = probe->output();
  if (!WIFEXITED(probe->status()) || WEXITSTATUS(probe->status()) != 0)
    return std::unexpected(
        output.empty() ? "pns check: " + describe_wait_status(probe->status()) + "\n" : output);
  return config::Findings::parse(output).warnings;
}

// The planes that another supervisor left, when nobody can look after them: control tells the
// peers, then the dataplane. Their descriptors are open until this process ends.
void end_planes(const RunDirectory& run_dir) {
  for (const auto& [name, user, within] :
       {std::tuple{"control", privilege::kControlUser, kPoliteControl + kGrace},
        std::tuple{"dataplane", privilege::kDataplaneUser, kPoliteDataplane + kGrace}}) {
    const privilege::Identity owner = privilege::find_identity(user);
    const pid_t pid = run_dir.read_pid(name);
    const auto is_here = [pid] { return pid > 0 && ::waitpid(pid, nullptr, WNOHANG) == 0; };
    if (!is_here()) continue;  // no child of ours
    (void)privilege::signal_process(pid, SIGTERM, owner);
    const auto until = Clock::now() + within;
    while (is_here() && Clock::now() < until) std::this_thread::sleep_for(milliseconds(5));
    (void)privilege::signal_process(pid, SIGKILL, owner);
  }
}

// The state that the supervisor left whose place this one takes.
std::expected<HandOver, std::string> read_state(int fd) {
  const UniqueFd sealed(fd);  // read once, and not handed on
  const auto text = read_sealed(sealed.get());
  if (!text) return std::unexpected(text.error());
  return decode(*text);
}

// The configuration that was checked for this process; of an older supervisor: the file.
std::expected<config::Config, std::vector<config::ConfigError>> load_handed_over(
    const HandOver& state, const std::filesystem::path& file) {
  if (state.configuration < 0) return config::load(file);
  const auto index = static_cast<std::size_t>(state.configuration);
  config::Source source{file, UniqueFd(state.configurations[index].config), UniqueFd()};
  auto config = config::load(source);
  (void)source.config.release();
  return config;
}

void start_log(const config::Log& log) {
  log::start(static_cast<log::Level>(log.level), static_cast<log::Format>(log.format),
             "supervisor");
}

int resume_supervisor(const SupervisorOptions& options) {
  start_log({});
  const auto ended = [&](const std::string& reason) {
    log::error("server failed", {{"reason", reason}});
    end_planes(RunDirectory::adopt(options.run_dir, UniqueFd()));
    return 1;
  };
  const auto state = read_state(options.resume_fd);
  if (!state) return ended(state.error());
  auto config = load_handed_over(*state, options.config_file);
  if (!config) return ended(config.error().front().to_string());
  start_log(config->log);
  Supervisor supervisor(std::move(*config),
                        RunDirectory::adopt(options.run_dir, UniqueFd(state->run_dir_lock)));
  if (auto resumed = supervisor.resume(*state); !resumed) {
    const int status = ended(resumed.error());
    supervisor.abandon();
    return status;
  }
  return supervisor.serve();
}

}  // namespace

int run_supervisor(const SupervisorOptions& options) {
  if (auto begun = privilege::begin(); !begun) {
    fmt::print(stderr, "{}\n", begun.error());
    return 1;
  }
  if (options.resume_fd >= 0) return resume_supervisor(options);
  const auto configuration = Snapshot::take(options.config_file, true);
  if (!configuration) {
    fmt::print(stderr, "{}\n", configuration.error().to_string());
    return 1;
  }
  auto config = config::load((*configuration)->source());
  if (!config) {
    for (const auto& error : config.error()) fmt::print(stderr, "{}\n", error.to_string());
    return 1;
  }
  const auto warnings = check_start_of(options, **configuration);
  if (!warnings) {
    fmt::print(stderr, "{}", warnings.error());
    return 1;
  }
  start_log(config->log);
  for (const auto& warning : *warnings) log::warn("configuration doubtful", {{"reason", warning}});
  auto run_dir = RunDirectory::open(options.run_dir);
  if (!run_dir) {
    log::error("start failed", {{"reason", run_dir.error()}});
    return 1;
  }
  Supervisor supervisor(std::move(*config), std::move(*run_dir), *configuration);
  if (auto prepared = supervisor.prepare(); !prepared) {
    log::error("start failed", {{"reason", prepared.error()}});
    return 1;
  }
  return supervisor.serve();
}

}  // namespace pns::supervisor
