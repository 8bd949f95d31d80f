// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/preflight.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <chrono>
#include <memory>
#include <system_error>
#include <utility>

#include "pns/contract/check_mode.hpp"
#include "pns/supervisor/host_check.hpp"
#include "pns/supervisor/plane.hpp"
#include "pns/supervisor/probe.hpp"
#include "pns/supervisor/snapshot.hpp"

namespace pns::supervisor {
namespace {

using config::Findings;
using contract::CheckMode;

constexpr auto kPlaneTime = std::chrono::seconds(590);  // whoever asks has a limit of his own
// CLI11's exit status for a command line that a program does not understand.
constexpr int kFirstUsageError = 100;
constexpr int kLastUsageError = 119;

Findings check_plane(const std::string& name, const PreflightOptions& options,
                     const config::Source& source, CheckMode mode) {
  Findings found;
  std::error_code error;
  const auto own = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto program = own.parent_path() / ("pns-" + name);
  auto probe = Probe::start({program.string(), "--check", std::string(contract::name_of(mode)),
                             "--config", options.config_file.string(), "--run-dir",
                             options.run_dir.string(), "--supervisor-fd", "-1"},
                            Probe::Clock::now() + kPlaneTime, Probe::Output::kOnly,
                            {.source = &source, .with_users = name == "control"});
  if (!probe) {
    found.errors.push_back(probe.error() + " (the planes must lie beside pns)");
    return found;
  }
  const bool ended = probe->wait();
  found = Findings::parse(probe->output());
  const int status = probe->status();
  const int code = ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (code >= kFirstUsageError && code <= kLastUsageError)
    found.warnings.push_back(
        fmt::format("{} is of a release that cannot check its start", program.string()));
  else if (code != 0 && found.errors.empty())
    found.errors.push_back(fmt::format("{} --check: {}", program.string(),
                                       ended ? describe_wait_status(status) : "does not end"));
  return found;
}

}  // namespace

config::Findings check_start(const PreflightOptions& options) {
  Findings found;
  config::Source inherited = config::take_source(options.config_file);
  Snapshot::Pointer snapshot;
  if (!inherited.config) {
    auto taken = Snapshot::take(options.config_file, true);
    if (!taken) {
      found.errors.push_back(taken.error().to_string());
      return found;
    }
    snapshot = std::move(*taken);
  }
  const config::Source& source = snapshot ? snapshot->source() : inherited;
  const auto config = config::load(source);
  if (!config) {
    found.add(config.error());
    return found;
  }
  const bool serving = is_serving(options.run_dir);
  const CheckMode mode = !options.host ? CheckMode::kConfiguration
                         : serving     ? CheckMode::kRestart
                                       : CheckMode::kStart;
  const auto is_asked = [&](std::string_view process) {
    return options.process.empty() || options.process == process;
  };
  if (mode == CheckMode::kStart) await_huge_pages(*config);
  for (const char* plane : {"control", "dataplane"})
    if (is_asked(plane)) found.add(check_plane(plane, options, source, mode));
  if (!options.host) return found;
  // The supervisor keeps what it opens: one that runs has it.
  if (!serving) found.add_host(host_objections(*config, options.run_dir));
  if (std::string warning = descriptor_warning(config->pptp.max_connections); !warning.empty())
    found.warnings.push_back(std::move(warning));
  if (std::string warning = broadcast_warning(*config); !warning.empty())
    found.warnings.push_back(std::move(warning));
  return found;
}

}  // namespace pns::supervisor
