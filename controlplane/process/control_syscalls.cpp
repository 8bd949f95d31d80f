// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/process/control_syscalls.hpp"

#include <asm/ioctls.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>

namespace pns::control {
namespace {

constexpr std::uint64_t kKind = 0xf;  // of socket(2)'s type; the rest are flags

privilege::AllowedCall socket_of(int family, int kind) {
  return {__NR_socket,
          {{0, ~std::uint64_t{0}, static_cast<std::uint64_t>(family)},
           {1, kKind, static_cast<std::uint64_t>(kind)}}};
}

}  // namespace

privilege::SyscallList control_syscalls() {
  privilege::SyscallList list{.allowed = privilege::common_calls(),
                              .failing = privilege::common_failing_calls()};
  const std::vector<privilege::CallGroup> own = {
      {"the event loop",
       {{__NR_epoll_create1},
        {__NR_epoll_ctl},
        {__NR_epoll_wait},
        {__NR_epoll_pwait},
        {__NR_timerfd_create},
        {__NR_timerfd_settime},
        {__NR_select},
        {__NR_pselect6},
        {__NR_ioctl, {{1, privilege::kIoctlMask, FIONBIO}}},
        {__NR_ioctl, {{1, privilege::kIoctlMask, FIONREAD}}}}},
      {"the dataplane's socket", {socket_of(AF_UNIX, SOCK_SEQPACKET)}},
      {"calls that are placed, their source address, the listener of the metrics",
       {socket_of(AF_INET, SOCK_STREAM),
        socket_of(AF_INET, SOCK_DGRAM),
        {__NR_bind},
        {__NR_connect},
        {__NR_listen}}},
      {"the resume store, the spool of accounting and changed passwords: files of user pns",
       {{__NR_openat},    {__NR_newfstatat}, {__NR_statx},      {__NR_statfs},    {__NR_fstatfs},
        {__NR_access},    {__NR_faccessat2}, {__NR_getdents64}, {__NR_readlink},  {__NR_getcwd},
        {__NR_mkdir},     {__NR_unlink},     {__NR_unlinkat},   {__NR_rename},    {__NR_renameat},
        {__NR_chmod},     {__NR_fchmodat},   {__NR_ftruncate},  {__NR_fallocate}, {__NR_fsync},
        {__NR_fdatasync}, {__NR_msync},      {__NR_pwrite64},   {__NR_pwritev},   {__NR_umask},
        {__NR_fchdir},    {__NR_mkdirat}}},
  };
  list.allowed.insert(list.allowed.end(), own.begin(), own.end());
  return list;
}

}  // namespace pns::control
