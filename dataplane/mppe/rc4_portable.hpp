// SPDX-License-Identifier: BSD-3-Clause
//
// RC4 for several independent streams in plain C++: what a CPU without AVX2 gets. Four streams keep
// a compiler's registers busy; with more they spill.
#pragma once

#include <emmintrin.h>  // SSE2, which every CPU of 64 bit has
#include <string.h>     // explicit_bzero
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

inline constexpr unsigned kPortableLanes = 4;
inline constexpr unsigned kPortableRunningLanes = 2;

// One step of one stream each; what is indexed by lane must be a constant index, or it is not kept
// in registers.
template <class Entry>
struct PortableStream {
  Entry* table;
  std::uint32_t j;

  [[gnu::always_inline]] void key_step(unsigned n, unsigned key) noexcept {
    const std::uint32_t x = table[n];
    j = (j + x + key) & 0xff;
    table[n] = table[j];
    table[j] = static_cast<Entry>(x);
  }
  [[gnu::always_inline]] std::uint8_t step(std::uint32_t i) noexcept {
    const std::uint32_t x = table[i];
    j = (j + x) & 0xff;
    const std::uint32_t y = table[j];
    table[i] = static_cast<Entry>(y);
    table[j] = static_cast<Entry>(x);
    return static_cast<std::uint8_t>(table[(x + y) & 0xff]);
  }
};

// Tables of octets outside, of entries inside. With octets they are the same; words lie in a copy
// on the stack, which wipes itself.
template <class Entry, std::size_t kLanes>
class PortableTables {
 public:
  explicit PortableTables(std::uint8_t* outside) noexcept : outside_(outside) {}
  PortableTables(const PortableTables&) = delete;
  PortableTables& operator=(const PortableTables&) = delete;
  ~PortableTables() {
    if constexpr (kCopied) ::explicit_bzero(copy_, sizeof(copy_));
  }
  [[nodiscard, gnu::always_inline]] Entry* of(std::size_t lane) noexcept {
    if constexpr (kCopied)
      return copy_[lane];
    else
      return outside_ + 256 * lane;
  }
  void fetch() noexcept {
    if constexpr (kCopied)
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        for (unsigned n = 0; n < 256; n += 16) {
          const __m128i zero = _mm_setzero_si128();
          const __m128i octets = _mm_load_si128(at(outside_ + 256 * lane + n));
          const __m128i low = _mm_unpacklo_epi8(octets, zero);
          const __m128i high = _mm_unpackhi_epi8(octets, zero);
          _mm_store_si128(at(copy_[lane] + n), _mm_unpacklo_epi16(low, zero));
          _mm_store_si128(at(copy_[lane] + n + 4), _mm_unpackhi_epi16(low, zero));
          _mm_store_si128(at(copy_[lane] + n + 8), _mm_unpacklo_epi16(high, zero));
          _mm_store_si128(at(copy_[lane] + n + 12), _mm_unpackhi_epi16(high, zero));
        }
  }
  void refund() noexcept {
    if constexpr (kCopied)
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        for (unsigned n = 0; n < 256; n += 16) {
          const __m128i* words = at(copy_[lane] + n);
          const __m128i low = _mm_packs_epi32(_mm_load_si128(words), _mm_load_si128(words + 1));
          const __m128i high =
              _mm_packs_epi32(_mm_load_si128(words + 2), _mm_load_si128(words + 3));
          _mm_store_si128(at(outside_ + 256 * lane + n), _mm_packus_epi16(low, high));
        }
  }

 private:
  static constexpr bool kCopied = !std::is_same_v<Entry, std::uint8_t>;
  template <class T>
  static __m128i* at(T* entries) noexcept {
    return reinterpret_cast<__m128i*>(entries);
  }
  std::uint8_t* outside_;
  alignas(64) Entry copy_[kLanes][kCopied ? 256 : 1];
};

// The functions of one number of streams.
template <class Entry, class Lanes>
struct PortableRc4;

template <class Entry, std::size_t... kLane>
struct PortableRc4<Entry, std::index_sequence<kLane...>> {
  using Tables = PortableTables<Entry, sizeof...(kLane)>;
  using Stream = PortableStream<Entry>;

  [[gnu::always_inline]] static void set_up(Tables& in, const std::byte* keys) noexcept {
    for (unsigned n = 0; n < 256; ++n) ((in.of(kLane)[n] = static_cast<Entry>(n)), ...);
    Stream streams[] = {{in.of(kLane), 0}...};
    const auto* key = reinterpret_cast<const std::uint8_t*>(keys);
    for (unsigned n = 0; n < 256; ++n)
      (streams[kLane].key_step(n, key[16 * kLane + (n & 15)]), ...);
  }

  static StackLow set_keys(std::uint8_t* tables, const std::byte* keys) noexcept {
    Tables in(tables);
    set_up(in, keys);
    in.refund();
    return kCleanStack;
  }

  static StackLow change_keys(std::uint8_t* tables, std::byte* keys) noexcept {
    Tables in(tables);
    set_up(in, keys);
    Stream streams[] = {{in.of(kLane), 0}...};
    for (unsigned n = 0; n < 16; ++n)
      ((keys[16 * kLane + n] ^= static_cast<std::byte>(streams[kLane].step(n + 1))), ...);
    return kCleanStack;
  }

  // Eight octets of one stream are written together: the compiler must assume of each single one
  // that it may lie in the table.
  template <class Next>
  [[gnu::always_inline]] static void gather_eight(std::byte* out, std::size_t& n,
                                                  std::size_t octets, Next next) noexcept {
    for (; n + 8 <= octets; n += 8) {
      std::uint64_t eight = 0;
#pragma GCC unroll 8
      for (unsigned at = 0; at < 64; at += 8) eight |= std::uint64_t{next()} << at;
      std::memcpy(out + n, &eight, 8);
    }
  }

  // Streams that began together.
  static StackLow generate(std::uint8_t* tables, std::uint8_t* j, std::byte* out,
                           std::size_t blocks, std::size_t at, bool goes_on) noexcept {
    Tables in(tables);
    in.fetch();
    Stream streams[] = {{in.of(kLane), j[kLane]}...};
    auto i = static_cast<std::uint32_t>(at & 0xff);
    std::size_t n = 0;
    if constexpr (sizeof...(kLane) == 1)
      gather_eight(out, n, 16 * blocks, [&streams, &i]() noexcept {
        i = (i + 1) & 0xff;
        return streams[0].step(i);
      });
    for (; n < 16 * blocks; ++n) {
      i = (i + 1) & 0xff;
      ((out[kStreamStride * kLane + n] = static_cast<std::byte>(streams[kLane].step(i))), ...);
    }
    ((j[kLane] = static_cast<std::uint8_t>(streams[kLane].j)), ...);
    if (goes_on) in.refund();
    return kCleanStack;
  }

  // Streams with an i each.
  static StackLow go_on(std::uint8_t* tables, RunningIndices* indices, std::byte* out,
                        std::size_t octets) noexcept {
    Tables in(tables);
    in.fetch();
    Stream streams[] = {{in.of(kLane), indices->j[kLane]}...};
    std::uint32_t i[] = {indices->i[kLane]...};
    std::size_t n = 0;
    if constexpr (sizeof...(kLane) == 1)
      gather_eight(out, n, octets, [&streams, &i]() noexcept {
        i[0] = (i[0] + 1) & 0xff;
        return streams[0].step(i[0]);
      });
    for (; n < octets; ++n)
      ((i[kLane] = (i[kLane] + 1) & 0xff,
        out[kStreamStride * kLane + n] = static_cast<std::byte>(streams[kLane].step(i[kLane]))),
       ...);
    ((indices->i[kLane] = static_cast<std::uint8_t>(i[kLane]),
      indices->j[kLane] = static_cast<std::uint8_t>(streams[kLane].j)),
     ...);
    in.refund();
    return kCleanStack;
  }
};

template <class Entry>
[[nodiscard]] Rc4Kernels portable_rc4() noexcept {
  using One = PortableRc4<Entry, std::make_index_sequence<1>>;
  using Two = PortableRc4<Entry, std::make_index_sequence<2>>;
  using Three = PortableRc4<Entry, std::make_index_sequence<3>>;
  using Four = PortableRc4<Entry, std::make_index_sequence<kPortableLanes>>;
  return {
      .set_keys = {One::set_keys, Two::set_keys, Three::set_keys, Four::set_keys},
      .change_keys = {One::change_keys, Two::change_keys, Three::change_keys, Four::change_keys},
      .generate_one = {One::generate, Two::generate, Three::generate, Four::generate},
      .generate_few = {One::generate, Two::generate, Three::generate, Four::generate},
      .generate = {One::generate, Two::generate, Three::generate, Four::generate},
      .go_on = {One::go_on, Two::go_on}};
}

}  // namespace
}  // namespace pns::dataplane
