// SPDX-License-Identifier: BSD-3-Clause
//
// SHA-1 as FIPS 180-4 describes it, RC4 as RFC 6229's references do.
#include <bit>
#include <cstring>

#include "tests/bench/reference.hpp"

namespace pns::bench {
namespace {

class WordRc4 {
 public:
  void set_key(std::span<const std::byte, 16> key) noexcept {
    for (std::uint32_t n = 0; n < 256; ++n) s_[n] = n;
    std::uint32_t j = 0;
    for (std::uint32_t n = 0; n < 256; ++n) {
      const std::uint32_t x = s_[n];
      j = (j + x + std::to_integer<std::uint32_t>(key[n % key.size()])) & 0xff;
      s_[n] = s_[j];
      s_[j] = x;
    }
    i_ = j_ = 0;
  }
  void crypt(MutableBytes data) noexcept {
    std::uint32_t i = i_;
    std::uint32_t j = j_;
    for (std::byte& octet : data) {
      i = (i + 1) & 0xff;
      const std::uint32_t x = s_[i];
      j = (j + x) & 0xff;
      const std::uint32_t y = s_[j];
      s_[i] = y;
      s_[j] = x;
      octet ^= static_cast<std::byte>(s_[(x + y) & 0xff]);
    }
    i_ = i;
    j_ = j;
  }

 private:
  std::uint32_t s_[256];
  std::uint32_t i_ = 0;
  std::uint32_t j_ = 0;
};

class BufferedSha1 {
 public:
  template <class... Parts>
  std::array<std::byte, 20> digest(const Parts&... parts) noexcept {
    state_ = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    length_ = 0;
    (update(parts), ...);
    return end();
  }

 private:
  [[gnu::noinline]] void update(Bytes data) noexcept {
    std::size_t used = length_ % 64;
    length_ += data.size();
    while (!data.empty()) {
      const std::size_t size = std::min(data.size(), 64 - used);
      std::memcpy(buffer_.data() + used, data.data(), size);
      data = data.subspan(size);
      used += size;
      if (used < 64) break;
      block();
      used = 0;
    }
  }

  std::array<std::byte, 20> end() noexcept {
    const std::uint64_t bits = length_ * 8;
    std::size_t used = length_ % 64;
    buffer_[used++] = std::byte{0x80};
    if (used > 56) {
      std::memset(buffer_.data() + used, 0, 64 - used);
      block();
      used = 0;
    }
    std::memset(buffer_.data() + used, 0, 56 - used);
    for (unsigned n = 0; n < 8; ++n) buffer_[56 + n] = static_cast<std::byte>(bits >> (56 - 8 * n));
    block();
    std::array<std::byte, 20> out;
    for (unsigned n = 0; n < 20; ++n)
      out[n] = static_cast<std::byte>(state_[n / 4] >> (24 - 8 * (n % 4)));
    return out;
  }

  template <class F>
  static void round(F f, std::uint32_t k, std::uint32_t w, std::uint32_t& a, std::uint32_t& b,
                    std::uint32_t& c, std::uint32_t& d, std::uint32_t& e) noexcept {
    const std::uint32_t next = std::rotl(a, 5) + f(b, c, d) + e + k + w;
    e = d;
    d = c;
    c = std::rotl(b, 30);
    b = a;
    a = next;
  }

  [[gnu::noinline]] void block() noexcept {
    std::uint32_t w[16];
    for (unsigned n = 0; n < 16; ++n) {
      std::memcpy(&w[n], buffer_.data() + 4 * n, 4);
      w[n] = __builtin_bswap32(w[n]);
    }
    const auto word = [&w](unsigned n) noexcept {
      if (n >= 16)
        w[n & 15] = std::rotl(w[(n + 13) & 15] ^ w[(n + 8) & 15] ^ w[(n + 2) & 15] ^ w[n & 15], 1);
      return w[n & 15];
    };
    using Word = std::uint32_t;
    const auto choose = [](Word b, Word c, Word d) noexcept { return d ^ (b & (c ^ d)); };
    const auto parity = [](Word b, Word c, Word d) noexcept { return b ^ c ^ d; };
    const auto majority = [](Word b, Word c, Word d) noexcept { return (b & c) + (d & (b ^ c)); };
    auto [a, b, c, d, e] = state_;
#pragma GCC unroll 20
    for (unsigned n = 0; n < 20; ++n) round(choose, 0x5a827999, word(n), a, b, c, d, e);
#pragma GCC unroll 20
    for (unsigned n = 20; n < 40; ++n) round(parity, 0x6ed9eba1, word(n), a, b, c, d, e);
#pragma GCC unroll 20
    for (unsigned n = 40; n < 60; ++n) round(majority, 0x8f1bbcdc, word(n), a, b, c, d, e);
#pragma GCC unroll 20
    for (unsigned n = 60; n < 80; ++n) round(parity, 0xca62c1d6, word(n), a, b, c, d, e);
    state_[0] += a;
    state_[1] += b;
    state_[2] += c;
    state_[3] += d;
    state_[4] += e;
  }

  std::array<std::uint32_t, 5> state_;
  std::array<std::byte, 64> buffer_;
  std::size_t length_ = 0;
};

}  // namespace

std::unique_ptr<Reference> plain_reference() {
  return std::make_unique<ReferenceOf<WordRc4, BufferedSha1>>();
}

}  // namespace pns::bench
