// SPDX-License-Identifier: BSD-3-Clause
//
// GetNewKeyFromSHA (RFC 3079 §3.4) for several keys at once, as a lane of a vector each. The
// message is always two blocks, of which only the words of the two keys vary.
//
//   16-octet keys   start[0..3] 0×10 session[0..1] | session[2..3] f2f2f2f2×10 80000000 0 0 896
//    8-octet keys   start[0..1] 0×10 session[0..1] f2f2f2f2×2 | f2f2f2f2×8 80000000 0×6 768
//
// Written once with the vector types of GCC and clang, compiled for each instruction set:
// everything is in an anonymous namespace, so that no linker takes the code of one file for
// another's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

template <unsigned kLanes>
struct Sha1Vector {
  typedef std::uint32_t type __attribute__((vector_size(kLanes * 4)));
};
template <>
struct Sha1Vector<1> {
  typedef std::uint32_t type;
};

template <unsigned kLanes>
struct Sha1Lanes {
  using V = typename Sha1Vector<kLanes>::type;

  [[gnu::always_inline]] static V all(std::uint32_t value) noexcept { return V{} + value; }

  template <int kBits>
  [[gnu::always_inline]] static V rotate(V x) noexcept {
#ifdef __AVX512VL__
    if constexpr (kLanes == 8) return (V)_mm256_rol_epi32((__m256i)x, kBits);
#endif
    return x << kBits | x >> (32 - kBits);
  }
#ifdef __AVX512VL__
  template <int kTable>
  [[gnu::always_inline]] static V logic(V a, V b, V c) noexcept {
    return (V)_mm256_ternarylogic_epi32((__m256i)a, (__m256i)b, (__m256i)c, kTable);
  }
#endif

  [[gnu::always_inline]] static V choose(V b, V c, V d) noexcept {
#ifdef __AVX512VL__
    if constexpr (kLanes == 8) return logic<0xca>(b, c, d);
#endif
    return d ^ (b & (c ^ d));
  }
  [[gnu::always_inline]] static V parity(V b, V c, V d) noexcept {
#ifdef __AVX512VL__
    if constexpr (kLanes == 8) return logic<0x96>(b, c, d);
#endif
    return b ^ c ^ d;
  }
  [[gnu::always_inline]] static V majority(V b, V c, V d) noexcept {
#ifdef __AVX512VL__
    if constexpr (kLanes == 8) return logic<0xe8>(b, c, d);
#endif
    return (b & c) | (d & (b | c));
  }

  struct State {
    V a, b, c, d, e;
  };

  template <int kRound>
  [[gnu::always_inline]] static void round(State& s, V (&w)[16]) noexcept {
    if constexpr (kRound >= 16)
      w[kRound & 15] = rotate<1>(parity(w[(kRound + 13) & 15], w[(kRound + 8) & 15],
                                        w[(kRound + 2) & 15] ^ w[kRound & 15]));
    V f;
    std::uint32_t k;
    if constexpr (kRound < 20) {
      f = choose(s.b, s.c, s.d), k = 0x5a827999;
    } else if constexpr (kRound < 40) {
      f = parity(s.b, s.c, s.d), k = 0x6ed9eba1;
    } else if constexpr (kRound < 60) {
      f = majority(s.b, s.c, s.d), k = 0x8f1bbcdc;
    } else {
      f = parity(s.b, s.c, s.d), k = 0xca62c1d6;
    }
    // In this order: a rotation and one addition are all that the next round waits for.
    const V next = rotate<5>(s.a) + (f + (s.e + (all(k) + w[kRound & 15])));
    s.e = s.d;
    s.d = s.c;
    s.c = rotate<30>(s.b);
    s.b = s.a;
    s.a = next;
  }

  template <int kRound>
  [[gnu::always_inline]] static void rounds(State& s, V (&w)[16]) noexcept {
    round<kRound>(s, w);
    if constexpr (kRound < 79) rounds<kRound + 1>(s, w);
  }

  [[gnu::always_inline]] static void block(State& s, V (&w)[16]) noexcept {
    const State before = s;
    rounds<0>(s, w);
    s.a += before.a;
    s.b += before.b;
    s.c += before.c;
    s.d += before.d;
    s.e += before.e;
  }

  // words: start_key[0..3], session_key[0..3] of each lane; the digest's first four replace them.
  template <unsigned kKeyOctets>
  [[gnu::noinline]] static void digest(V (&words)[8]) noexcept {
    State s{all(0x67452301), all(0xefcdab89), all(0x98badcfe), all(0x10325476), all(0xc3d2e1f0)};
    const V zero{};
    const V pad = all(0xf2f2f2f2);
    const V end = all(0x80000000);
    if constexpr (kKeyOctets == 16) {
      V first[16] = {words[0], words[1], words[2], words[3], zero, zero, zero,     zero,
                     zero,     zero,     zero,     zero,     zero, zero, words[4], words[5]};
      block(s, first);
      V second[16] = {words[6], words[7], pad, pad, pad, pad,  pad,  pad,
                      pad,      pad,      pad, pad, end, zero, zero, all(896)};
      block(s, second);
    } else {
      V first[16] = {words[0], words[1], zero, zero, zero,     zero,     zero, zero,
                     zero,     zero,     zero, zero, words[4], words[5], pad,  pad};
      block(s, first);
      V second[16] = {pad, pad,  pad,  pad,  pad,  pad,  pad,  pad,
                      end, zero, zero, zero, zero, zero, zero, all(768)};
      block(s, second);
    }
    words[0] = s.a;
    words[1] = s.b;
    words[2] = s.c;
    words[3] = s.d;
  }

  union Words {
    V lanes[8];
    std::uint32_t word[8][kLanes];
  };

  template <unsigned kKeyOctets>
  static void new_keys_of(const NewKey* keys, unsigned count) noexcept {
    Words u{};
    for (unsigned first = 0; first < count; first += kLanes) {
      const unsigned used = count - first < kLanes ? count - first : kLanes;
#ifdef __AVX2__
      if constexpr (kLanes == 8) {
        digest_transposed<kKeyOctets>(keys + first, used, u);
        continue;
      }
#endif
      for (unsigned lane = 0; lane < used; ++lane) gather<kKeyOctets>(keys[first + lane], lane, u);
      digest<kKeyOctets>(u.lanes);
      for (unsigned lane = 0; lane < used; ++lane) scatter<kKeyOctets>(keys[first + lane], lane, u);
    }
    std::memset(&u, 0, sizeof(u));
    asm volatile("" : : "r"(&u) : "memory");  // or the compiler would leave the keys there
  }

  static void new_keys(const NewKey* keys, unsigned count, unsigned key_octets) noexcept {
    if (key_octets == 16)
      new_keys_of<16>(keys, count);
    else
      new_keys_of<8>(keys, count);
  }

 private:
  template <unsigned kKeyOctets>
  [[gnu::always_inline]] static void gather(const NewKey& key, unsigned lane, Words& u) noexcept {
#pragma GCC unroll 4
    for (unsigned n = 0; n < kKeyOctets / 4; ++n) {
      u.word[n][lane] = load(key.start_key + 4 * n);
      u.word[4 + n][lane] = load(key.session_key + 4 * n);
    }
  }
  template <unsigned kKeyOctets>
  [[gnu::always_inline]] static void scatter(const NewKey& key, unsigned lane, Words& u) noexcept {
#pragma GCC unroll 4
    for (unsigned n = 0; n < 4; ++n) store(key.out + 4 * n, u.word[n % (kKeyOctets / 4)][lane]);
  }

#ifdef __AVX2__
  [[gnu::always_inline]] static __m256i swapped(__m256i x) noexcept {
    const __m256i order = _mm256_broadcastsi128_si256(
        _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    return _mm256_shuffle_epi8(x, order);
  }
  // In each half by itself: the rows of four by four words become columns.
  [[gnu::always_inline]] static void transpose(__m256i (&x)[4]) noexcept {
    const __m256i a = _mm256_unpacklo_epi32(x[0], x[1]);
    const __m256i b = _mm256_unpacklo_epi32(x[2], x[3]);
    const __m256i c = _mm256_unpackhi_epi32(x[0], x[1]);
    const __m256i d = _mm256_unpackhi_epi32(x[2], x[3]);
    x[0] = _mm256_unpacklo_epi64(a, b);
    x[1] = _mm256_unpackhi_epi64(a, b);
    x[2] = _mm256_unpacklo_epi64(c, d);
    x[3] = _mm256_unpackhi_epi64(c, d);
  }
  // Key n and key n + 4 are the halves of a row.
  template <std::byte const* NewKey::*kKey>
  [[gnu::always_inline]] static void gather_eight(const NewKey* keys, V* words) noexcept {
    __m256i x[4];
#pragma GCC unroll 4
    for (unsigned n = 0; n < 4; ++n)
      x[n] = swapped(_mm256_loadu2_m128i(reinterpret_cast<const __m128i*>(keys[n + 4].*kKey),
                                         reinterpret_cast<const __m128i*>(keys[n].*kKey)));
    transpose(x);
#pragma GCC unroll 4
    for (unsigned n = 0; n < 4; ++n) words[n] = (V)x[n];
  }

  // Lanes without a key repeat the last one. Keys of 8 octets lie in 16 readable ones.
  template <unsigned kKeyOctets>
  [[gnu::always_inline]] static void digest_transposed(const NewKey* keys, unsigned used,
                                                       Words& u) noexcept {
    NewKey eight[8];
    if (used < 8) {
      for (unsigned n = 0; n < 8; ++n) eight[n] = keys[n < used ? n : used - 1];
      keys = eight;
    }
    gather_eight<&NewKey::start_key>(keys, u.lanes);
    gather_eight<&NewKey::session_key>(keys, u.lanes + 4);
    digest<kKeyOctets>(u.lanes);
    __m256i x[4];
#pragma GCC unroll 4
    for (unsigned n = 0; n < 4; ++n) x[n] = (__m256i)u.lanes[n % (kKeyOctets / 4)];
    transpose(x);
#pragma GCC unroll 4
    for (unsigned n = 0; n < 4; ++n)
      _mm256_storeu2_m128i(reinterpret_cast<__m128i*>(keys[n + 4].out),
                           reinterpret_cast<__m128i*>(keys[n].out), swapped(x[n]));
  }
#endif

  static std::uint32_t load(const std::byte* from) noexcept {
    std::uint32_t value;
    std::memcpy(&value, from, 4);
    return __builtin_bswap32(value);
  }
  static void store(std::byte* to, std::uint32_t value) noexcept {
    value = __builtin_bswap32(value);
    std::memcpy(to, &value, 4);
  }
};

}  // namespace
}  // namespace pns::dataplane
