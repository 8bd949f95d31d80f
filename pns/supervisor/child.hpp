// SPDX-License-Identifier: BSD-3-Clause
//
// Steps that every program which the supervisor starts has in common. They run in the child,
// between fork and exec.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <vector>

#include "pns/config/source.hpp"

namespace pns::supervisor {

inline constexpr int kCannotExecute = 127;  // exit status, as of a shell

// A process group of its own (a terminal's Ctrl-C is the supervisor's alone), SIGKILL when `parent`
// ends, signals as a fresh program expects them. System calls only. False: the parent has ended.
[[nodiscard]] bool begin_child(pid_t parent) noexcept;

// The words that a child finds in its environment beside those of this process. By the environment,
// because a program of an earlier release refuses an option that it does not know.
struct ChildWords {
  const config::Source* source = nullptr;  // copies of the configuration; null: it reads the files
  bool with_users = true;                  // the copy of the users file too
  std::string run_dir{};                   // of `pns check`; empty: not told
  std::string process{};                   // likewise: whose start is checked
};

// Made before fork.
class ChildEnvironment {
 public:
  explicit ChildEnvironment(const ChildWords& ours);
  ChildEnvironment(const ChildEnvironment&) = delete;
  ChildEnvironment& operator=(const ChildEnvironment&) = delete;

  // In the child: exec leaves the copies open. System calls only.
  void keep_descriptors() const noexcept;
  [[nodiscard]] char* const* words() noexcept { return pointers_.data(); }

 private:
  std::array<int, 2> descriptors_{-1, -1};
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

}  // namespace pns::supervisor
