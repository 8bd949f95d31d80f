// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <x86intrin.h>

#include <cstdint>

namespace pns::bench {

// TSC cycles of one call; nothing before or after it overlaps.
template <class Call>
std::uint64_t cycles_of(const Call& call) {
  _mm_lfence();
  const std::uint64_t start = __rdtsc();
  _mm_lfence();
  call();
  _mm_lfence();
  return __rdtsc() - start;
}

}  // namespace pns::bench
