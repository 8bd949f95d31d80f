// SPDX-License-Identifier: BSD-3-Clause
//
// The wall clock, for times that others read: Event-Timestamp, ids, ends of sessions. It may jump;
// deadlines use EventLoop::now(). Any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "pns/base/time.hpp"

namespace pns::control {

[[nodiscard]] inline std::chrono::sys_seconds wall_time() {
  return std::chrono::floor<Seconds>(std::chrono::system_clock::now());
}
// Since 1970.
[[nodiscard]] inline std::uint64_t wall_seconds() {
  return static_cast<std::uint64_t>(wall_time().time_since_epoch().count());
}
[[nodiscard]] inline std::uint64_t wall_milliseconds() {
  return static_cast<std::uint64_t>(
      std::chrono::floor<Milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

}  // namespace pns::control
