// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>

#include "dataplane/start/confine.hpp"

namespace pns::dataplane {
namespace {

using privilege::AllowedCall;
using privilege::ArgumentCheck;

constexpr std::uint64_t kAll = ~std::uint64_t{0};
constexpr std::uint64_t kKind = 0xf;  // of socket(2)'s type; the rest are flags

AllowedCall socket_of(int family, int kind, int protocol) {
  return {__NR_socket,
          {{0, kAll, static_cast<std::uint64_t>(family)},
           {1, kKind, static_cast<std::uint64_t>(kind)},
           {2, kAll, static_cast<std::uint64_t>(protocol)}}};
}

AllowedCall ioctl_of(std::uint64_t request) {
  return {__NR_ioctl, {{1, privilege::kIoctlMask, request & privilege::kIoctlMask}}};
}

}  // namespace

privilege::SyscallList dataplane_syscalls() {
  privilege::SyscallList list{.allowed = privilege::common_calls(),
                              .failing = privilege::common_failing_calls()};
  // syslog(3) of DPDK's log looks for its daemon again and again.
  list.failing.push_back({__NR_connect, EACCES, {}});
  // glibc names a thread by a file of /proc, which a driver's thread need not have.
  list.failing.push_back({__NR_openat, EACCES, {{2, O_ACCMODE, O_RDWR}}});
  // A member of a bond that is a TAP (labs) gets MAC and flags again when another one fails. It
  // works without.
  list.failing.push_back({__NR_ioctl, EPERM, {{1, privilege::kIoctlMask, SIOCSIFHWADDR}}});
  list.failing.push_back({__NR_ioctl, EPERM, {{1, privilege::kIoctlMask, SIOCSIFFLAGS}}});
  const std::vector<privilege::CallGroup> own = {
      {"how long workers sleep", {{__NR_prctl, {{0, kAll, PR_SET_TIMERSLACK}}}}},
      {"events of the kernel that DPDK's interrupt thread waits for",
       {{__NR_epoll_wait},
        {__NR_epoll_pwait},
        {__NR_epoll_ctl},
        {__NR_epoll_create1},
        {__NR_epoll_create},
        {__NR_timerfd_settime},
        {__NR_eventfd}}},
      {"routes and neighbours of the kernel, read by netlink",
       {socket_of(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), {__NR_bind}}},
      {"names and counters of interfaces",
       {socket_of(AF_UNIX, SOCK_DGRAM, 0), socket_of(AF_INET, SOCK_DGRAM, 0),
        ioctl_of(SIOCGIFINDEX), ioctl_of(SIOCGIFNAME), ioctl_of(SIOCGIFFLAGS),
        ioctl_of(SIOCGIFHWADDR), ioctl_of(SIOCETHTOOL), ioctl_of(TUNGETIFF),
        ioctl_of(TUNGETDEVNETNS)}},
      {"threads of drivers choose their CPUs", {{__NR_sched_setaffinity}}},
      {"carrier of the twins", {ioctl_of(TUNSETCARRIER)}},
      {"files that anybody may read: counters of devices, this process's network namespace",
       {{__NR_openat, {{2, O_ACCMODE, O_RDONLY}}},
        {__NR_newfstatat},
        {__NR_statx},
        {__NR_readlink},
        {__NR_getdents64}}},
      {"memory that is shared with control: the channel; DPDK's heap when it grows",
       {{__NR_memfd_create},
        {__NR_ftruncate},
        {__NR_fallocate},
        {__NR_get_mempolicy},
        {__NR_set_mempolicy},
        {__NR_mbind},
        ioctl_of(VFIO_IOMMU_MAP_DMA),
        ioctl_of(VFIO_IOMMU_UNMAP_DMA)}},
      {"a thread drops the capability that it inherited", {{__NR_capset}}},
      {"control connects", {{__NR_listen}}},
      {"subscriber prefixes of the XDP program",
       {{__NR_bpf, {{0, kAll, BPF_MAP_UPDATE_ELEM}}},
        {__NR_bpf, {{0, kAll, BPF_MAP_DELETE_ELEM}}}}},
  };
  list.allowed.insert(list.allowed.end(), own.begin(), own.end());
  return list;
}

}  // namespace pns::dataplane
