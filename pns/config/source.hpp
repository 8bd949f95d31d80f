// SPDX-License-Identifier: BSD-3-Clause
//
// Source: where a process finds its configuration. A process that the supervisor starts gets copies
// of the files as descriptors, so that a check and the start that follows it read the same octets.
// A process that somebody starts by hand reads the files. Start-up only, one thread.
#pragma once

#include <expected>
#include <filesystem>
#include <optional>
#include <vector>

#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"

namespace pns::config {

struct Source {
  std::filesystem::path file;  // what errors name, and what relative paths are relative to
  UniqueFd config;             // a copy; empty: `file` is read
  UniqueFd users;              // a copy; empty: aaa.local.users_file is read
};

// The environment names the descriptors by these. A program of an earlier release reads the files.
inline constexpr const char* kConfigVariable = "PNS_CONFIG_FD";
inline constexpr const char* kUsersVariable = "PNS_USERS_FD";

// Takes the descriptors that the environment names, and their names off it.
[[nodiscard]] Source take_source(const std::filesystem::path& file);

[[nodiscard]] std::expected<Config, std::vector<ConfigError>> load(const Source& source);

// The users file, open; empty: there is none. Takes the copy out of `source` when there is one.
[[nodiscard]] std::expected<UniqueFd, ConfigError> open_users(Source& source, const Config& config);

// That others may read a users file; empty: they may not.
[[nodiscard]] std::optional<ConfigError> users_file_warning(const std::filesystem::path& file);

}  // namespace pns::config
