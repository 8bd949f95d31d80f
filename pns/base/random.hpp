// SPDX-License-Identifier: BSD-3-Clause
//
// RandomSource: randomness as a parameter. Production uses the kernel's generator; tests hand in a
// sequence they know.
#pragma once

#include <sys/random.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "pns/base/bytes.hpp"

namespace pns {

class RandomSource {
 public:
  RandomSource() = default;
  RandomSource(const RandomSource&) = delete;
  RandomSource& operator=(const RandomSource&) = delete;
  virtual ~RandomSource() = default;

  // Fills the whole span with unpredictable octets. Cannot fail.
  virtual void fill(MutableBytes out) noexcept = 0;

  [[nodiscard]] std::uint32_t next_u32() noexcept {
    std::uint32_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
};

// getrandom(2): cryptographic, never blocks once the system has booted. Any thread.
class SystemRandom final : public RandomSource {
 public:
  void fill(MutableBytes out) noexcept override {
    while (!out.empty()) {
      const auto got = ::getrandom(out.data(), out.size(), 0);
      if (got < 0) {
        if (errno == EINTR) continue;
        std::abort();  // no kernel generator: nothing that follows could be trusted
      }
      out = out.subspan(static_cast<std::size_t>(got));
    }
  }
};

}  // namespace pns
