// SPDX-License-Identifier: BSD-3-Clause
//
// How a process gives its privileges up, in three steps:
//   begin_plane()  first of all in main(): no core file, no debugger of the same user, no way to
//                  gain privileges by exec
//   become()       when everything that needs root is open: another user, no capability (or a few)
//   end()          right after: the list of system calls, for every thread
// A step that fails is an error that the process must end with. None can be taken back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "pns/privilege/identity.hpp"
#include "pns/privilege/syscall_filter.hpp"

namespace pns::privilege {

using Result = std::expected<void, std::string>;  // error: one line

// Why this process could not drop its privileges: root that lacks a capability for it, as under the
// unit file of an earlier release. Empty: it can, or has none. Each executable says so with
// --contract, so that a supervisor does not replace a process that serves by one that cannot start.
[[nodiscard]] std::string drop_objection();

// Also for the supervisor: /proc/PID of the process belongs to root, no core file is written,
// wherever core_pattern points to, and an exec gives no privileges. Before any thread is made.
[[nodiscard]] Result begin();

// The same for a plane, which executes nothing: no exec gives it a capability either.
[[nodiscard]] Result begin_plane();

// Becomes `identity` with no other group, in every thread of the process. The calling thread keeps
// `kept` (CAP_…); every other thread loses all capabilities. A process that is `identity` already
// may call it too. The process still ends with `parent`: the kernel forgets PR_SET_PDEATHSIG at a
// change of user.
[[nodiscard]] Result become(const Identity& identity, const std::vector<unsigned>& kept,
                            pid_t parent);

// Puts all threads under the list. Error also when a thread of this process is left with another
// user, with capabilities that `kept` does not name, or with neither filter nor no_new_privs.
[[nodiscard]] Result end(const Identity& identity, const std::vector<unsigned>& kept,
                         const SyscallList& list, FilterMode mode);

// Takes all capabilities from the calling thread: for one that a thread with capabilities has made.
void drop_capabilities() noexcept;

// Signals a process that runs as root or as `owner`. Root needs no CAP_KILL for it: it takes the
// owner's user id for the call. The caller has one thread. False: errno tells why.
bool signal_process(pid_t pid, int signal, const Identity& owner) noexcept;

// "none", or names of the kernel's headers: "NET_ADMIN". For the log.
[[nodiscard]] std::string name_capabilities(const std::vector<unsigned>& kept);

}  // namespace pns::privilege
