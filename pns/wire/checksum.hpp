// SPDX-License-Identifier: BSD-3-Clause
//
// The Internet checksum (RFC 1071), whole and incremental (RFC 1624). Values are in host byte order
// as they read in the header field. Pure functions, any thread.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "pns/base/bytes.hpp"

namespace pns::wire {

// Sum of 16-bit words in the machine's own order, not folded; an odd last octet is padded with 0.
// One's complement sums do not mind the byte order (RFC 1071 §2 B).
[[nodiscard]] inline std::uint64_t raw_sum(Bytes data, std::uint64_t sum = 0) noexcept {
  const std::byte* at = data.data();
  std::size_t left = data.size();
  for (; left >= 4; left -= 4, at += 4) {
    std::uint32_t word = 0;
    std::memcpy(&word, at, 4);
    sum += word;
  }
  if (left >= 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, at, 2);
    sum += word;
    at += 2;
    left -= 2;
  }
  if (left != 0) {
    std::uint16_t word = 0;
    std::memcpy(&word, at, 1);
    sum += word;
  }
  return sum;
}

// Folds a raw_sum to the value of a checksum field, host order.
[[nodiscard]] inline std::uint16_t finish_sum(std::uint64_t sum) noexcept {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto folded = static_cast<std::uint16_t>(~sum);
  if constexpr (std::endian::native == std::endian::little)
    return static_cast<std::uint16_t>((folded << 8) | (folded >> 8));
  return folded;
}

// The checksum of `data` whose own field is zero. Over data with the field filled in: 0 when right.
[[nodiscard]] inline std::uint16_t internet_checksum(Bytes data) noexcept {
  return finish_sum(raw_sum(data));
}

// The checksum after one 16-bit word of what it covers changed: HC' = ~(~HC + ~m + m'),
// RFC 1624 §3 equation 3.
[[nodiscard]] constexpr std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t before,
                                                      std::uint16_t after) noexcept {
  std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

}  // namespace pns::wire
