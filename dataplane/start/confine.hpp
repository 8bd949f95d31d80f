// SPDX-License-Identifier: BSD-3-Clause
//
// The point from which on pns-dataplane is user `pns-dp`. Main thread, after EAL and the ports.
#pragma once

#include <vector>

#include "pns/privilege/syscall_filter.hpp"

namespace pns::dataplane {

// The system calls that the process may make from then on.
[[nodiscard]] privilege::SyscallList dataplane_syscalls();

// Drops the privileges of every thread; the calling thread keeps `kept` (CAP_…). Throws
// std::runtime_error when anything of it fails: the process must end then.
void confine(const std::vector<unsigned>& kept);

}  // namespace pns::dataplane
