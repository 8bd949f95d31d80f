// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/start_check.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <functional>
#include <stdexcept>
#include <utility>

#include "controlplane/pools/pool_set.hpp"
#include "controlplane/process/accounting_source.hpp"
#include "controlplane/process/authorization_source.hpp"
#include "controlplane/process/privileged_start.hpp"
#include "controlplane/process/radius_source.hpp"
#include "controlplane/process/users_loader.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "pns/netlink/tcp_address.hpp"
#include "pns/privilege/confinement.hpp"
#include "pns/privilege/identity.hpp"
#include "pns/privilege/run_places.hpp"

namespace pns::control {
namespace {

using config::Findings;
using contract::CheckMode;

// Adds what a step throws.
void attempt(Findings& found, const std::function<void()>& step) {
  try {
    step();
  } catch (const std::exception& error) {
    found.add_host({error.what()});
  }
}

void check_users(config::Source& source, const config::Config& config, Findings& found) {
  auto file = config::open_users(source, config);
  if (!file) return found.add(std::vector{file.error()});
  if (const auto warning = config::users_file_warning(config.aaa.local.users_file))
    found.warnings.push_back(warning->to_string());
  const auto users = read_users(config, *file);
  if (!users) found.errors.insert(found.errors.end(), users.error().begin(), users.error().end());
}

// The management socket replaces whatever has its name.
void check_socket(const config::Config& config, const std::filesystem::path& run_dir) {
  const auto& chosen = config.management.socket;
  const auto directory = chosen.parent_path();
  // The run directory is the supervisor's to check and to make.
  if (chosen.empty() || directory == (run_dir / "x").lexically_normal().parent_path()) return;
  if (::access(directory.c_str(), W_OK | X_OK) != 0)
    throw std::runtime_error(
        fmt::format("management.socket: {}: {} (make the directory, or leave "
                    "the key out: {})",
                    directory.string(), std::strerror(errno), (run_dir / "control.sock").string()));
}

void check_host(const config::Config& config, const std::filesystem::path& run_dir, CheckMode mode,
                Findings& found) {
  if (const std::string objection = privilege::drop_objection(); !objection.empty())
    return found.add_host({objection});
  const privilege::Identity identity = privilege::find_identity(privilege::kControlUser);
  found.warn_of_host(privilege::missing_user(identity, "control"));
  UniqueFd changes;
  attempt(found, [&] { changes = find_password_changes(config); });
  if (config.aaa.asks(config::AaaSource::kRadius))
    attempt(found, [&] { (void)open_radius(*config.aaa.radius); });
  if (config.aaa.authorizes_dynamically())
    attempt(found, [&] {
      (void)open_authorization(*config.aaa.radius->dynamic_authorization,
                               mode == CheckMode::kRestart ? InUse::kIsOurs : InUse::kRefuse);
    });
  if (config.aaa.accounts())
    attempt(found, [&] { check_spool_directory(config.aaa.radius->accounting); });
  attempt(found, [&] { check_socket(config, run_dir); });
  if (std::string why = privilege::store_objection(run_dir, identity); !why.empty())
    found.add_host({std::move(why)});
  // From here on as control's user: its files, and a port that needs no capability.
  if (::geteuid() == 0)
    if (const auto done = privilege::become(identity, {}, ::getppid()); !done)
      return found.add_host({done.error()});
  if (changes) attempt(found, [&] { (void)open_password_changes(config, changes); });
  const auto own =
      mode == CheckMode::kRestart ? std::optional(::geteuid()) : std::optional<uid_t>();
  if (config.metrics.listen)
    if (std::string why = metrics_objection(*config.metrics.listen, own); !why.empty())
      found.add_host({std::move(why)});
}

}  // namespace

std::optional<aaa::PasswordChanges> open_password_changes(const config::Config& config,
                                                          const UniqueFd& directory) {
  const auto& file = config.aaa.local.password_changes_file;
  if (file.empty()) return std::nullopt;
  auto changes = aaa::PasswordChanges::open(directory, file.filename().string());
  if (!changes) throw std::runtime_error(file.string() + ": " + changes.error());
  return std::move(*changes);
}

std::string metrics_objection(const config::Endpoint& listen, std::optional<uid_t> own) {
  const auto bound = netlink::bind_tcp(listen.address, listen.port, false);
  if (bound) return {};
  const int error = bound.error().number;
  if (error == EADDRINUSE && own && netlink::listening_user(listen.address, listen.port) == own)
    return {};
  return fmt::format("metrics.listen: {}{}", bound.error().reason,
                     error == EADDRINUSE ? " (another program listens there; choose another port)"
                     : error == EADDRNOTAVAIL ? " (no interface has the address)"
                                              : "");
}

Findings check_start(config::Source source, const std::filesystem::path& run_dir, CheckMode mode) {
  Findings found;
  const auto config = config::load(source);
  if (!config) {
    found.add(config.error());
    return found;
  }
  check_users(source, *config, found);
  attempt(found, [&] { (void)pools::PoolSet(subscriber::make_pools(*config)); });
  if (mode != CheckMode::kConfiguration) check_host(*config, run_dir, mode, found);
  return found;
}

}  // namespace pns::control
