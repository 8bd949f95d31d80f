// SPDX-License-Identifier: BSD-3-Clause
//
// DPDK for a bench: memory and this thread, no devices.
#pragma once

#include <optional>
#include <span>

#include "tests/bench/results.hpp"

namespace pns::bench {

inline constexpr unsigned kHugePageMegabytes = 2;

[[nodiscard]] unsigned free_huge_pages();

// Packet buffers are on huge pages where `megabytes` of them are free, unless `no_huge`. This
// thread stays on the first of `cpus`; empty: on any. Empty: EAL did not start, which stderr says.
[[nodiscard]] std::optional<Machine> start_eal(bool no_huge, std::span<const int> cpus,
                                               unsigned megabytes);

}  // namespace pns::bench
