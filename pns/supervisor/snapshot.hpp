// SPDX-License-Identifier: BSD-3-Clause
//
// Snapshot: the configuration file, and the users file for who needs it, as they were at one
// moment, each in a memory file. A plane is checked and started from one snapshot, and is started
// from it again after a crash: an edit of the files takes effect when it is asked for, and after it
// was checked.
//
// The users file is copied by the kernel. Its octets never enter the supervisor's address space,
// and they are overwritten in the end. Supervisor thread only.
#pragma once

#include <expected>
#include <filesystem>
#include <memory>

#include "pns/base/unique_fd.hpp"
#include "pns/config/config.hpp"
#include "pns/config/source.hpp"

namespace pns::supervisor {

class Snapshot {
 public:
  using Pointer = std::shared_ptr<const Snapshot>;

  // Error: the configuration file cannot be read. A users file that cannot be found or read is left
  // out: the process that needs it says so.
  [[nodiscard]] static std::expected<Pointer, config::ConfigError> take(
      const std::filesystem::path& file, bool with_users);
  // One of a supervisor whose place this one takes: the descriptors that descriptors() gave. Null:
  // `config` is none.
  [[nodiscard]] static Pointer adopt(const std::filesystem::path& file, UniqueFd config,
                                     UniqueFd users);
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();

  // For reading only.
  [[nodiscard]] const config::Source& source() const noexcept { return source_; }
  // The configuration file alone, for a process that needs no users. Null: no descriptor is left.
  [[nodiscard]] Pointer without_users() const;
  // Whether the files are still the ones that were copied, by their size and time.
  [[nodiscard]] bool is_current() const;
  struct Descriptors {
    int config = -1;
    int users = -1;  // -1: none
  };
  [[nodiscard]] Descriptors descriptors() const noexcept { return {config_.get(), users_.get()}; }

 private:
  Snapshot(const std::filesystem::path& file, UniqueFd config, UniqueFd users);

  UniqueFd config_;
  UniqueFd users_;
  config::Source source_;
};

}  // namespace pns::supervisor
