// SPDX-License-Identifier: BSD-3-Clause
//
// The allow-list of system calls of a process, enforced by the kernel (seccomp). Every call that is
// not in the list kills the process. Each plane has one list, in a file of its own, with a reason
// for each group of calls. Start of a process only.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace pns::privilege {

// Holds when (argument & mask) == value.
struct ArgumentCheck {
  unsigned argument = 0;  // 0 to 5
  std::uint64_t mask = ~std::uint64_t{0};
  std::uint64_t value = 0;
};

inline constexpr std::uint64_t kIoctlMask = 0xffffffff;  // of argument 1: the kernel takes 32 bits

struct AllowedCall {
  int number = 0;                     // __NR_…
  std::vector<ArgumentCheck> when{};  // all must hold; none: always allowed
};

struct CallGroup {
  std::string_view reason;
  std::vector<AllowedCall> calls;
};

// A call that fails with an error and does not kill: a library tries it and has another way.
struct FailingCall {
  int number = 0;
  int error = 0;                      // errno
  std::vector<ArgumentCheck> when{};  // all must hold; none: always
};

struct SyscallList {
  std::vector<CallGroup> allowed;
  std::vector<FailingCall> failing;
};

enum class FilterMode : std::uint8_t {
  kKill,  // a call outside the list kills the process
  kLog,   // the kernel logs it and carries it out (PNS_SECCOMP=log, for development)
  kNone,  // no filter: a build with sanitizers
};
[[nodiscard]] std::string_view name_of(FilterMode mode) noexcept;

// The mode that this build and the environment ask for.
[[nodiscard]] FilterMode filter_mode() noexcept;

// Puts every thread of the process under the list, for the rest of its life. Error: one line; then
// no thread is under it.
[[nodiscard]] std::expected<void, std::string> install(const SyscallList& list, FilterMode mode);

// Groups that every plane needs: memory, threads, time, open descriptors, the end of the process.
[[nodiscard]] std::vector<CallGroup> common_calls();
// clone3: its flags cannot be looked at. The C library then uses clone.
[[nodiscard]] std::vector<FailingCall> common_failing_calls();

}  // namespace pns::privilege
