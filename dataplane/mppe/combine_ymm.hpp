// SPDX-License-Identifier: BSD-3-Clause
//
// The exclusive-or pass and the wiping, 32 octets at a time. Compiled with AVX2 flags only, in an
// anonymous namespace for the reason that sha1_lanes.hpp gives.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace pns::dataplane {
namespace {

template <class Word>
[[gnu::always_inline]] inline void combine_word(std::byte* to, const std::byte* from,
                                                const std::byte* stream) noexcept {
  Word a;
  Word b;
  std::memcpy(&a, from, sizeof(Word));
  std::memcpy(&b, stream, sizeof(Word));
  a = static_cast<Word>(a ^ b);
  std::memcpy(to, &a, sizeof(Word));
}

[[gnu::always_inline]] inline __m256i combined_ymm(const std::byte* from,
                                                   const std::byte* stream) noexcept {
  return _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)),
                          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(stream)));
}

void combine_ymm(std::byte* to, const std::byte* from, const std::byte* stream,
                 std::size_t size) noexcept {
  if (size >= 32) {
    // The last 32 octets are computed first and stored last: they may overlap those before.
    const std::size_t rest = size - 32;
    const __m256i last = combined_ymm(from + rest, stream + rest);
    const auto step = [=](std::size_t n) noexcept {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + n), combined_ymm(from + n, stream + n));
    };
    std::size_t n = 0;
    for (; n + 128 <= rest; n += 128) step(n), step(n + 32), step(n + 64), step(n + 96);
    for (; n < rest; n += 32) step(n);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + rest), last);
    return;
  }
  std::size_t n = 0;
  for (; n + 8 <= size; n += 8) combine_word<std::uint64_t>(to + n, from + n, stream + n);
  if ((size & 4) != 0) combine_word<std::uint32_t>(to + n, from + n, stream + n), n += 4;
  if ((size & 2) != 0) combine_word<std::uint16_t>(to + n, from + n, stream + n), n += 2;
  if ((size & 1) != 0) combine_word<std::uint8_t>(to + n, from + n, stream + n);
}

// No function of the C library: it would take the slow start of a string instruction for this.
void clear_ymm(void* memory, std::size_t size) noexcept {
  const __m256i zero = _mm256_setzero_si256();
  for (auto* at = static_cast<__m256i*>(memory); size != 0; at += 2, size -= 64) {
    _mm256_storeu_si256(at, zero);
    _mm256_storeu_si256(at + 1, zero);
  }
  asm volatile("" : : "r"(memory) : "memory");  // the stores are wanted, whoever inlines this
}

}  // namespace
}  // namespace pns::dataplane
