// SPDX-License-Identifier: BSD-3-Clause
//
// What every program that the supervisor starts has in common. In the child, between fork and exec.
#pragma once

#include <sys/types.h>

namespace pns::supervisor {

inline constexpr int kCannotExecute = 127;  // exit status, as of a shell

// A process group of its own (a terminal's Ctrl-C is the supervisor's alone), SIGKILL when `parent`
// ends, signals as a fresh program expects them. System calls only. False: the parent has ended.
[[nodiscard]] bool begin_child(pid_t parent) noexcept;

}  // namespace pns::supervisor
