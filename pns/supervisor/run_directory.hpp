// SPDX-License-Identifier: BSD-3-Clause
//
// The directory of one running instance: its lock, pid files and sockets. Mode 0700. Whoever holds
// a RunDirectory is the only supervisor in it. Supervisor thread only.
#pragma once

#include <sys/types.h>

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

#include "pns/base/unique_fd.hpp"

namespace pns::supervisor {

class RunDirectory {
 public:
  // Makes the directory when it is not there and locks it. Error: one line; says which process has
  // the lock when another supervisor runs here.
  [[nodiscard]] static std::expected<RunDirectory, std::string> open(
      const std::filesystem::path& path);

  // The directory of a supervisor whose place this one takes. `lock` is its lock, which is held
  // already.
  [[nodiscard]] static RunDirectory adopt(const std::filesystem::path& path, UniqueFd lock);

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  [[nodiscard]] int lock_fd() const noexcept { return lock_.get(); }

  // NAME.pid, replaced in one step. Error: one line.
  [[nodiscard]] std::expected<void, std::string> write_pid(std::string_view name, pid_t pid) const;
  void remove_pid(std::string_view name) const noexcept;
  // NAME.yaml, a copy of the configuration file that `fd` is open for: what a process runs with.
  // Mode 0600, replaced in one step. Error: one line.
  [[nodiscard]] std::expected<void, std::string> write_configuration(std::string_view name,
                                                                     int fd) const;
  // `configuration`, a symbolic link to the file that the server is started with.
  [[nodiscard]] std::expected<void, std::string> link_configuration(
      const std::filesystem::path& file) const;
  // Removes all that the two above have written.
  void remove_configurations() const noexcept;
  // The process id in NAME.pid; -1: there is none.
  [[nodiscard]] pid_t read_pid(std::string_view name) const;
  // Removes every socket that the planes left.
  void remove_sockets() const noexcept;

 private:
  std::filesystem::path path_;
  UniqueFd lock_;  // flock(2); goes with the process
};

}  // namespace pns::supervisor
