// SPDX-License-Identifier: BSD-3-Clause
//
// Owners of the run directory and of what lies in it. The directory itself is root's, and control's
// group may pass through it. The resume store below it is control's. Needs root; for anybody else
// nothing changes.
#pragma once

#include <expected>
#include <filesystem>
#include <string>

#include "pns/base/unique_fd.hpp"
#include "pns/privilege/identity.hpp"

namespace pns::privilege {

inline constexpr const char* kStoreDirectory = "store";

// Makes the store, and gives it to control. A store that root owns, with its files, is one of a
// release in which control ran as root: it is given away as it is. Error: one line.
[[nodiscard]] std::expected<void, std::string> give_run_places(const std::filesystem::path& run_dir,
                                                               const Identity& control);

// Why the store cannot become control's; empty: it can, or is not there yet. Changes nothing.
[[nodiscard]] std::string store_objection(const std::filesystem::path& run_dir,
                                          const Identity& control);

// A socket of the run directory, bound and not yet listening, that `owner` alone may connect to
// (and root). `path` is replaced when it is there. `kind`: SOCK_SEQPACKET, …. Error: one line.
[[nodiscard]] std::expected<UniqueFd, std::string> bind_socket_for(
    const std::filesystem::path& path, int kind, const Identity& owner);

}  // namespace pns::privilege
