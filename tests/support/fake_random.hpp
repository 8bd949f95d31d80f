// SPDX-License-Identifier: BSD-3-Clause
//
// FakeRandom: a reproducible RandomSource (xorshift64*). The same seed gives the same octets.
#pragma once

#include <cstdint>

#include "pns/base/random.hpp"

namespace pns::test {

class FakeRandom final : public RandomSource {
 public:
  explicit FakeRandom(std::uint64_t seed = 1) noexcept : state_(seed * 0x9e3779b97f4a7c15u | 1u) {}

  void fill(MutableBytes out) noexcept override {
    for (std::byte& octet : out) {
      state_ ^= state_ >> 12;
      state_ ^= state_ << 25;
      state_ ^= state_ >> 27;
      octet = static_cast<std::byte>((state_ * 0x2545f4914f6cdd1du) >> 56);
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace pns::test
