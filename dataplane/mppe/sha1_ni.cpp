// SPDX-License-Identifier: BSD-3-Clause
#include <immintrin.h>

#include <cstring>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

// A key's digest. The instructions of one wait for each other: two go on side by side.
struct Sha1 {
  __m128i abcd;
  __m128i e;
  __m128i w[4];  // W[0..3], W[4..7], W[8..11], W[12..15], the first word in the highest lane

  template <int kGroup>
  [[gnu::always_inline]] void rounds() noexcept {
    constexpr int kAt = kGroup & 3;
    if constexpr (kGroup >= 4) {
      const __m128i mixed =
          _mm_xor_si128(_mm_sha1msg1_epu32(w[kAt], w[(kAt + 1) & 3]), w[(kAt + 2) & 3]);
      w[kAt] = _mm_sha1msg2_epu32(mixed, w[(kAt + 3) & 3]);
    }
    const __m128i before = abcd;
    const __m128i input = kGroup == 0 ? _mm_add_epi32(e, w[kAt]) : _mm_sha1nexte_epu32(e, w[kAt]);
    abcd = _mm_sha1rnds4_epu32(abcd, input, kGroup / 5);
    e = before;
  }
};

template <int kGroup, class... Each>
[[gnu::always_inline]] inline void all_rounds(Each&... each) noexcept {
  (each.template rounds<kGroup>(), ...);
  if constexpr (kGroup < 19) all_rounds<kGroup + 1>(each...);
}

// One block of each.
template <class... Each>
[[gnu::always_inline]] inline void block(Each&... each) noexcept {
  const Sha1 before[] = {each...};
  all_rounds<0>(each...);
  const Sha1* at = before;
  ((each.e = _mm_sha1nexte_epu32(each.e, at->e), each.abcd = _mm_add_epi32(each.abcd, at++->abcd)),
   ...);
}

[[gnu::always_inline]] inline __m128i words(unsigned a, unsigned b, unsigned c,
                                            unsigned d) noexcept {
  return _mm_set_epi32(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c),
                       static_cast<int>(d));
}

[[gnu::always_inline]] inline __m128i reversed(__m128i x) noexcept {
  return _mm_shuffle_epi8(x, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}

// The message is laid out as in sha1_lanes.hpp.
struct KeyHash : Sha1 {
  __m128i session;

  template <unsigned kKeyOctets>
  [[gnu::always_inline]] void first(const NewKey& key) noexcept {
    const __m128i zero = _mm_setzero_si128();
    const __m128i start =
        reversed(_mm_loadu_si128(reinterpret_cast<const __m128i*>(key.start_key)));
    session = reversed(_mm_loadu_si128(reinterpret_cast<const __m128i*>(key.session_key)));
    abcd = words(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
    e = words(0xc3d2e1f0, 0, 0, 0);
    w[1] = w[2] = zero;
    if constexpr (kKeyOctets == 16) {
      w[0] = start;
      w[3] = _mm_srli_si128(session, 8);
    } else {
      w[0] = _mm_unpackhi_epi64(zero, start);
      w[3] = _mm_unpackhi_epi64(pad(), session);
    }
  }
  template <unsigned kKeyOctets>
  [[gnu::always_inline]] void second() noexcept {
    if constexpr (kKeyOctets == 16) {
      w[0] = _mm_unpacklo_epi64(pad(), session);
      w[1] = w[2] = pad();
      w[3] = words(0x80000000, 0, 0, 896);
    } else {
      w[0] = w[1] = pad();
      w[2] = words(0x80000000, 0, 0, 0);
      w[3] = words(0, 0, 0, 768);
    }
  }
  template <unsigned kKeyOctets>
  [[gnu::always_inline]] void end(const NewKey& key) const noexcept {
    __m128i digest = reversed(abcd);
    if constexpr (kKeyOctets == 8) digest = _mm_unpacklo_epi64(digest, digest);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(key.out), digest);
  }
  [[gnu::always_inline]] static __m128i pad() noexcept {
    return _mm_set1_epi8(static_cast<char>(0xf2));
  }
};

template <unsigned kKeyOctets>
void keys_of(const NewKey* keys, unsigned count) noexcept {
  unsigned n = 0;
  for (; n + 2 <= count; n += 2) {
    KeyHash a;
    KeyHash b;
    a.first<kKeyOctets>(keys[n]);
    b.first<kKeyOctets>(keys[n + 1]);
    block(a, b);
    a.second<kKeyOctets>();
    b.second<kKeyOctets>();
    block(a, b);
    a.end<kKeyOctets>(keys[n]);
    b.end<kKeyOctets>(keys[n + 1]);
  }
  if (n == count) return;
  KeyHash last;
  last.first<kKeyOctets>(keys[n]);
  block(last);
  last.second<kKeyOctets>();
  block(last);
  last.end<kKeyOctets>(keys[n]);
}

}  // namespace

void new_keys_sha_ni(const NewKey* keys, unsigned count, unsigned key_octets) noexcept {
  if (key_octets == 16)
    keys_of<16>(keys, count);
  else
    keys_of<8>(keys, count);
}

}  // namespace pns::dataplane
