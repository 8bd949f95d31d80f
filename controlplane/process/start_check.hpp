// SPDX-License-Identifier: BSD-3-Clause
//
// All that can be known about a start of pns-control before it. `pns-control --check` does the
// steps of the start that need no other process, in this order: configuration, users, pools, and on
// this host the files, addresses and privileges. The start calls the same functions. Nothing on the
// host is changed. The process ends afterwards: it may have changed its user.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>

#include "controlplane/aaa/password_changes.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/config/findings.hpp"
#include "pns/config/source.hpp"
#include "pns/contract/check_mode.hpp"

namespace pns::control {

[[nodiscard]] config::Findings check_start(config::Source source,
                                           const std::filesystem::path& run_dir,
                                           contract::CheckMode mode);

// Why nothing can listen there; empty: something can. `own`: the user of the process whose place
// this one takes, which may listen there.
[[nodiscard]] std::string metrics_objection(const config::Endpoint& listen,
                                            std::optional<uid_t> own);

// As the user of the process. Empty: no such key. Throws std::runtime_error with the reason.
[[nodiscard]] std::optional<aaa::PasswordChanges> open_password_changes(
    const config::Config& config, const UniqueFd& directory);

}  // namespace pns::control
