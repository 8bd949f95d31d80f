// SPDX-License-Identifier: BSD-3-Clause
//
// The start of pns-control as root, and its end. Opened holds what only root may open; Confined is
// the point from which on the process is user `pns` without any capability.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "controlplane/management/server.hpp"
#include "controlplane/process/accounting_source.hpp"
#include "controlplane/process/authorization_source.hpp"
#include "controlplane/process/radius_source.hpp"
#include "controlplane/runtime/address_watch.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/config/source.hpp"
#include "pns/privilege/identity.hpp"

namespace pns::control {

// Empty: the configuration has no aaa.local.password_changes_file. Throws std::runtime_error with
// the reason.
[[nodiscard]] UniqueFd find_password_changes(const config::Config& config);

// Throws std::runtime_error with the reason.
struct Opened {
  // Also makes `run_dir` the working directory: names below it need no way through its parents.
  Opened(config::Source& source, const config::Config& config,
         const std::filesystem::path& run_dir);

  privilege::Identity identity;
  HostAddressReader host_addresses;
  UniqueFd users_file;
  UniqueFd password_changes_directory;               // O_PATH; empty: no such key
  std::optional<RadiusOpened> radius;                // without radius in aaa.order: empty
  std::optional<AuthorizationOpened> authorization;  // without dynamic authorization: empty
  std::optional<SpoolDirectory> spool;               // without accounting: empty
  std::unique_ptr<management::Server> management;    // bound, not yet serving
};

// Throws std::runtime_error when anything of it fails: the process must end then.
struct Confined {
  explicit Confined(const privilege::Identity& identity);
};

}  // namespace pns::control
