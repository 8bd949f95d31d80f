// SPDX-License-Identifier: BSD-3-Clause
#include <immintrin.h>

#include <cstring>

#include "dataplane/mppe/kernels.hpp"

namespace pns::dataplane {
namespace {

// One block: W[0..3], W[4..7], W[8..11], W[12..15], the first word in the highest lane.
template <int kGroup>
[[gnu::always_inline]] inline void rounds(__m128i& abcd, __m128i& e, __m128i (&w)[4]) noexcept {
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
  if constexpr (kGroup < 19) rounds<kGroup + 1>(abcd, e, w);
}

[[gnu::always_inline]] inline void block(__m128i& abcd, __m128i& e, __m128i (&w)[4]) noexcept {
  const __m128i abcd_before = abcd;
  const __m128i e_before = e;
  rounds<0>(abcd, e, w);
  e = _mm_sha1nexte_epu32(e, e_before);
  abcd = _mm_add_epi32(abcd, abcd_before);
}

}  // namespace

// The message is laid out as in sha1_lanes.hpp.
void new_key_sha_ni(const NewKey& key, unsigned key_octets) noexcept {
  const __m128i swap = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m128i zero = _mm_setzero_si128();
  const __m128i pad = _mm_set1_epi8(static_cast<char>(0xf2));
  const auto words = [](unsigned a, unsigned b, unsigned c, unsigned d) noexcept {
    return _mm_set_epi32(static_cast<int>(a), static_cast<int>(b), static_cast<int>(c),
                         static_cast<int>(d));
  };
  __m128i start = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.start_key));
  __m128i session = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.session_key));
  start = _mm_shuffle_epi8(start, swap);
  session = _mm_shuffle_epi8(session, swap);
  __m128i abcd = words(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  __m128i e = words(0xc3d2e1f0, 0, 0, 0);
  if (key_octets == 16) {
    __m128i first[4] = {start, zero, zero, _mm_srli_si128(session, 8)};
    block(abcd, e, first);
    __m128i second[4] = {_mm_unpacklo_epi64(pad, session), pad, pad, words(0x80000000, 0, 0, 896)};
    block(abcd, e, second);
  } else {
    __m128i first[4] = {_mm_unpackhi_epi64(zero, start), zero, zero,
                        _mm_unpackhi_epi64(pad, session)};
    block(abcd, e, first);
    __m128i second[4] = {pad, pad, words(0x80000000, 0, 0, 0), words(0, 0, 0, 768)};
    block(abcd, e, second);
  }
  __m128i digest = _mm_shuffle_epi8(abcd, swap);
  if (key_octets == 8) digest = _mm_unpacklo_epi64(digest, digest);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(key.out), digest);
}

}  // namespace pns::dataplane
