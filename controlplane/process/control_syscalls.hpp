// SPDX-License-Identifier: BSD-3-Clause
//
// The system calls that pns-control may make once it has dropped its privileges.
#pragma once

#include "pns/privilege/syscall_filter.hpp"

namespace pns::control {

[[nodiscard]] privilege::SyscallList control_syscalls();

}  // namespace pns::control
