// SPDX-License-Identifier: BSD-3-Clause
//
// DPDK for a bench: memory and this thread, no devices.
#pragma once

#include <span>

namespace pns::bench {

inline constexpr unsigned kHugePageMegabytes = 2;

[[nodiscard]] unsigned free_huge_pages();

// This thread stays on the first of `cpus`; empty: on any. False: EAL did not start.
[[nodiscard]] bool start_eal(bool huge_pages, std::span<const int> cpus, unsigned megabytes);

}  // namespace pns::bench
