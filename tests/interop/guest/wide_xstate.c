// SPDX-License-Identifier: BSD-3-Clause
//
// wide_xstate: lets a program trace others on CPUs whose register state is longer than it knows of.
// It is loaded with LD_PRELOAD.
//
// The user-mode-linux kernel and the gdb of Debian 12 know 2,696 octets of extended state (XSAVE, up
// to PKRU). The host refuses PTRACE_SETREGSET unless the whole state is given, which takes 11,008
// octets where the CPU has AMX. A guest's init then dies of SIGSEGV at once, and gdb cannot call a
// function of a process. This ptrace() puts the given octets into a state of full length. The rest
// stays zero: XSTATE_BV, which is among the given octets, says that those registers are in their
// initial state.
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char state[64 * 1024] __attribute__((aligned(64)));

// The length of the extended state on this CPU, in octets. 0: the host did not tell.
static size_t state_length(pid_t pid) {
  static size_t length;
  if (length == 0) {
    struct iovec whole = {state, sizeof state};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) == 0)
      length = whole.iov_len;
    memset(state, 0, sizeof state);
  }
  return length;
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  const pid_t pid = va_arg(arguments, pid_t);
  void* const address = va_arg(arguments, void*);
  void* data = va_arg(arguments, void*);
  va_end(arguments);

  struct iovec whole;
  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE) {
    const struct iovec* const given = data;
    const size_t length = state_length(pid);
    if (given->iov_len < length) {
      memcpy(state, given->iov_base, given->iov_len);
      whole = (struct iovec){state, length};
      data = &whole;
    }
  }

  // As the C library's ptrace() does, which takes the place of a result pointer for these.
  long peeked = 0;
  const int peeks =
      request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER;
  if (peeks) data = &peeked;
  const long result = syscall(SYS_ptrace, request, pid, address, data);
  return peeks && result == 0 ? peeked : result;
}
