// SPDX-License-Identifier: BSD-3-Clause
#include "pns/supervisor/child.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace pns::supervisor {

bool begin_child(pid_t parent) noexcept {
  ::setpgid(0, 0);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) return false;
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGHUP, SIG_DFL);
  return true;
}

}  // namespace pns::supervisor
