// SPDX-License-Identifier: BSD-3-Clause
#include "pns/privilege/syscall_filter.hpp"

#include <asm/ioctls.h>
#include <fmt/format.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace pns::privilege {
namespace {

struct Release {
  void operator()(void* context) const noexcept { seccomp_release(context); }
};
using Context = std::unique_ptr<void, Release>;

std::uint32_t default_action(FilterMode mode) noexcept {
  return mode == FilterMode::kLog ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
}

int add(void* context, std::uint32_t action, int number, const std::vector<ArgumentCheck>& when) {
  std::vector<scmp_arg_cmp> checks;
  for (const ArgumentCheck& check : when)
    checks.push_back({check.argument, SCMP_CMP_MASKED_EQ, check.mask, check.value});
  return seccomp_rule_add_array(context, action, number, static_cast<unsigned>(checks.size()),
                                checks.data());
}

}  // namespace

std::string_view name_of(FilterMode mode) noexcept {
  return mode == FilterMode::kKill ? "kill" : mode == FilterMode::kLog ? "log" : "none";
}

FilterMode filter_mode() noexcept {
#ifdef PNS_NO_SYSCALL_FILTER
  return FilterMode::kNone;
#else
  const char* wanted = ::secure_getenv("PNS_SECCOMP");
  return wanted != nullptr && std::strcmp(wanted, "log") == 0 ? FilterMode::kLog
                                                              : FilterMode::kKill;
#endif
}

std::expected<void, std::string> install(const SyscallList& list, FilterMode mode) {
  if (mode == FilterMode::kNone) return {};
  const auto failed = [](std::string_view what, int error) {
    return std::unexpected(fmt::format("system call filter: {}: {}", what, std::strerror(-error)));
  };
  const Context context(seccomp_init(default_action(mode)));
  if (!context) return failed("seccomp_init", -ENOMEM);
  // SSB: without it, older kernels slow every indirect branch of a filtered process down. The
  // process runs no code of others.
  const std::pair<scmp_filter_attr, std::uint32_t> attributes[] = {
      {SCMP_FLTATR_CTL_TSYNC, 1},
      {SCMP_FLTATR_CTL_SSB, 1},
      {SCMP_FLTATR_CTL_OPTIMIZE, 2},
      {SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS}};
  for (const auto& [attribute, value] : attributes)
    if (const int error = seccomp_attr_set(context.get(), attribute, value); error != 0)
      return failed("seccomp_attr_set", error);
  for (const FailingCall& call : list.failing)
    if (const int error = add(context.get(), SCMP_ACT_ERRNO(call.error), call.number, call.when);
        error != 0)
      return failed(fmt::format("call {}", call.number), error);
  for (const CallGroup& group : list.allowed)
    for (const AllowedCall& call : group.calls)
      if (const int error = add(context.get(), SCMP_ACT_ALLOW, call.number, call.when); error != 0)
        return failed(fmt::format("call {} ({})", call.number, group.reason), error);
  if (const int error = seccomp_load(context.get()); error != 0) return failed("load", error);
  return {};
}

std::vector<CallGroup> common_calls() {
  constexpr std::uint64_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS |
                                           CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |
                                           CLONE_NEWNET;
  const auto self = static_cast<std::uint64_t>(::getpid());
  return {
      {"memory that is not executable",
       {{__NR_mmap, {{2, PROT_EXEC, 0}}},
        {__NR_mprotect, {{2, PROT_EXEC, 0}}},
        {__NR_munmap},
        {__NR_mremap},
        {__NR_madvise},
        {__NR_brk}}},
      {"threads of this process, and no other process",
       {{__NR_clone, {{0, CLONE_THREAD | kNewNamespaces, CLONE_THREAD}}},
        {__NR_futex},
        {__NR_set_robust_list},
        {__NR_rseq},
        {__NR_gettid},
        {__NR_sched_yield},
        {__NR_sched_getaffinity},
        {__NR_prctl, {{0, ~std::uint64_t{0}, PR_SET_NAME}}},
        {__NR_membarrier},
        {__NR_getcpu}}},
      {"time",
       {{__NR_clock_gettime},
        {__NR_clock_getres},
        {__NR_gettimeofday},
        {__NR_time},
        {__NR_nanosleep},
        {__NR_clock_nanosleep}}},
      {"descriptors that are open already",
       {{__NR_read},
        {__NR_readv},
        {__NR_pread64},
        {__NR_write},
        {__NR_writev},
        {__NR_close},
        {__NR_fcntl},
        {__NR_fstat},
        {__NR_lseek},
        {__NR_poll},
        {__NR_ppoll},
        {__NR_recvfrom},
        {__NR_recvmsg},
        {__NR_recvmmsg},
        {__NR_sendto},
        {__NR_sendmsg},
        {__NR_sendmmsg},
        {__NR_getsockopt},
        {__NR_setsockopt},
        {__NR_getsockname},
        {__NR_getpeername},
        {__NR_shutdown},
        {__NR_ioctl, {{1, kIoctlMask, TCGETS}}}}},
      {"new descriptors without a name",
       {{__NR_eventfd2}, {__NR_accept}, {__NR_accept4}, {__NR_pipe2}}},
      {"random numbers", {{__NR_getrandom}}},
      {"facts about this process and the host",
       {{__NR_getpid},
        {__NR_getppid},
        {__NR_getuid},
        {__NR_geteuid},
        {__NR_getgid},
        {__NR_getegid},
        {__NR_uname},
        {__NR_sysinfo},
        {__NR_prlimit64, {{0, ~std::uint64_t{0}, 0}}}}},
      {"signals to itself, and the end",
       {{__NR_rt_sigaction},
        {__NR_rt_sigprocmask},
        {__NR_rt_sigreturn},
        {__NR_sigaltstack},
        {__NR_restart_syscall},
        {__NR_tgkill, {{0, ~std::uint64_t{0}, self}}},
        {__NR_exit},
        {__NR_exit_group}}},
  };
}

std::vector<FailingCall> common_failing_calls() { return {{__NR_clone3, ENOSYS, {}}}; }

}  // namespace pns::privilege
