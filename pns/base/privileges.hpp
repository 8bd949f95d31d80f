// SPDX-License-Identifier: BSD-3-Clause
//
// Giving up root. Capabilities belong to a thread: a call counts for the calling thread and for
// those it starts from then on; one that runs already keeps everything.
#pragma once

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <initializer_list>

namespace pns {

// Gives up every capability but these (CAP_…), and the way to get any back by exec. False: the
// kernel refused, errno tells why.
[[nodiscard]] inline bool drop_privileges(std::initializer_list<unsigned> kept) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  for (const unsigned capability : kept) {
    auto& half = data[capability / 32];
    half.permitted |= 1U << (capability % 32);
    half.effective |= 1U << (capability % 32);
  }
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_capset, &header, data.data()) == 0;
}

}  // namespace pns
