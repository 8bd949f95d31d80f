// SPDX-License-Identifier: BSD-3-Clause
//
// Shared by the fuzz targets: a claim that holds in every build, and a way to take inputs apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "pns/base/bytes.hpp"

// Aborts with the text of the claim when it does not hold.
#define PNS_CLAIM(claim)                                                              \
  do {                                                                                \
    if (!(claim)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #claim); \
      std::abort();                                                                   \
    }                                                                                 \
  } while (false)

namespace pns::fuzz {

// Hands an input out piece by piece; an empty one gives zeros.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const std::byte*>(data), size) {}
  [[nodiscard]] bool empty() const { return rest_.empty(); }
  std::uint8_t octet() {
    if (rest_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(rest_[0]);
    rest_ = rest_.subspan(1);
    return value;
  }
  Bytes octets(std::size_t count) {
    const Bytes out = rest_.first(count < rest_.size() ? count : rest_.size());
    rest_ = rest_.subspan(out.size());
    return out;
  }

 private:
  Bytes rest_;
};

}  // namespace pns::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
