// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/privileged_start.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "controlplane/aaa/password_changes.hpp"
#include "controlplane/process/control_syscalls.hpp"
#include "pns/log/log.hpp"
#include "pns/privilege/confinement.hpp"
#include "pns/privilege/run_places.hpp"

namespace pns::control {
namespace {

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

[[noreturn]] void fail(const std::filesystem::path& what, const std::string& reason) {
  throw std::runtime_error(what.string() + ": " + reason);
}

}  // namespace

UniqueFd find_password_changes(const config::Config& config) {
  const auto& changes = config.aaa.local.password_changes_file;
  if (changes.empty()) return UniqueFd();
  auto directory = aaa::PasswordChanges::find_directory(changes);
  if (!directory) fail(changes, directory.error());
  return std::move(*directory);
}

Opened::Opened(config::Source& source, const config::Config& config,
               const std::filesystem::path& run_dir)
    : identity(privilege::find_identity(privilege::kControlUser)) {
  raise_descriptor_limit();
  auto users = config::open_users(source, config);
  if (!users) throw std::runtime_error(users.error().to_string());
  users_file = std::move(*users);
  password_changes_directory = find_password_changes(config);
  if (config.aaa.asks(config::AaaSource::kRadius)) radius = open_radius(*config.aaa.radius);
  if (config.aaa.authorizes_dynamically())
    authorization = open_authorization(*config.aaa.radius->dynamic_authorization);
  if (config.aaa.accounts()) spool = find_spool_directory(config.aaa.radius->accounting, identity);
  // The supervisor has done it, unless it is one of an earlier release.
  if (const auto given = privilege::give_run_places(run_dir, identity); !given)
    throw std::runtime_error(given.error());
  const auto& socket = config.management.socket;
  management =
      std::make_unique<management::Server>(socket.empty() ? run_dir / "control.sock" : socket);
  if (::chdir(run_dir.c_str()) != 0) fail(run_dir, std::strerror(errno));
}

Confined::Confined(const privilege::Identity& identity) {
  if (!identity.exists) log::warn("user missing", {{"user", identity.user}, {"uid", identity.uid}});
  const auto need = [](const privilege::Result& done) {
    if (!done) throw std::runtime_error(done.error());
  };
  const auto mode = privilege::filter_mode();
  need(privilege::become(identity, {}, ::getppid()));
  need(privilege::end(identity, {}, control_syscalls(), mode));
  log::info("privileges dropped", {{"uid", identity.uid},
                                   {"gid", identity.gid},
                                   {"capabilities", privilege::name_capabilities({})},
                                   {"filter", privilege::name_of(mode)}});
}

}  // namespace pns::control
