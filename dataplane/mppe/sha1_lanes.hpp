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
#ifdef __AVX512VL__
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

  template <unsigned kKeyOctets>
  static void new_keys_of(const NewKey* keys, unsigned count) noexcept {
    constexpr unsigned kWords = kKeyOctets / 4;
    union {
      V lanes[8];
      std::uint32_t word[8][kLanes];
    } u{};
    for (unsigned first = 0; first < count; first += kLanes) {
      const unsigned used = count - first < kLanes ? count - first : kLanes;
      for (unsigned lane = 0; lane < used; ++lane) {
        const NewKey& key = keys[first + lane];
#pragma GCC unroll 4
        for (unsigned n = 0; n < kWords; ++n) {
          u.word[n][lane] = load(key.start_key + 4 * n);
          u.word[4 + n][lane] = load(key.session_key + 4 * n);
        }
      }
      digest<kKeyOctets>(u.lanes);
      for (unsigned lane = 0; lane < used; ++lane)
#pragma GCC unroll 4
        for (unsigned n = 0; n < 4; ++n)
          store(keys[first + lane].out + 4 * n, u.word[n % kWords][lane]);
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
