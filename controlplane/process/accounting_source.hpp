// SPDX-License-Identifier: BSD-3-Clause
//
// Steps of root for accounting before the privileges are gone, and the opening of the spool after
// that.
#pragma once

#include <filesystem>

#include "controlplane/accounting/service.hpp"
#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/privilege/identity.hpp"

namespace pns::control {

// Makes the directory of the spool where it is missing, and gives it to control. Result: the
// directory. Throws std::runtime_error with the reason.
[[nodiscard]] UniqueFd open_spool_directory(const config::RadiusAccounting& config,
                                            const privilege::Identity& identity);
// Why that cannot be; changes nothing. Throws std::runtime_error with the reason.
void check_spool_directory(const config::RadiusAccounting& config);

// The spool in that directory, which this process need not reach by its name. Changes the working
// directory for a moment: no other thread may use relative names. Throws std::runtime_error with
// the reason.
[[nodiscard]] accounting::SpoolStore open_spool(const UniqueFd& directory,
                                                const config::RadiusAccounting& config);

}  // namespace pns::control
