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

// The directory of the spool as far as root reaches it. Under systemd root may not enter a
// directory of user pns: then `itself` is empty, and control opens it by way of its parent.
struct SpoolDirectory {
  std::filesystem::path path;
  UniqueFd parent;  // O_PATH
  UniqueFd itself;
};

// Makes the directory where it is missing, and gives it to control, as far as root can. Throws
// std::runtime_error with the reason.
[[nodiscard]] SpoolDirectory find_spool_directory(const config::RadiusAccounting& config,
                                                  const privilege::Identity& identity);
// Why that cannot be, as far as it can be seen; changes nothing. Throws std::runtime_error with the
// reason.
void check_spool_directory(const config::RadiusAccounting& config);

// The spool in that directory, as control. Changes the working directory for a moment: no other
// thread may use relative names. Throws std::runtime_error with the reason.
[[nodiscard]] accounting::SpoolStore open_spool(const SpoolDirectory& directory,
                                                const config::RadiusAccounting& config);

}  // namespace pns::control
