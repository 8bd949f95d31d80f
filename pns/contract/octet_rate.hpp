// SPDX-License-Identifier: BSD-3-Clause
//
// OctetRate: the rate and the burst of one direction of a session, in the four octets that session
// memory has for them. It holds the time that an octet costs, so that no packet needs a division:
//
//   bits 27-31  shift     an octet costs mantissa · 2^(8 - shift) ns
//   bits 8-26   mantissa  at most 4 millionths away from the rate
//   bits 4-7    exponent  the burst lasts (16 + fraction) · 2^(exponent + 14) ns:
//   bits 0-3    fraction  262 µs to 16.6 s, at most 1/16 longer than asked for
//
// All bits zero: no limit. Rates below 60 bit/s are 60 bit/s. Pure value; both planes.
#pragma once

#include <algorithm>
#include <cstdint>

namespace pns::contract {

class OctetRate {
 public:
  // The burst where none is named. TCP that has lost all that it had sent waits for its shortest
  // retransmission timeout, 200 ms (Linux). A bucket that holds more than 200 ms loses nothing of
  // the rate meanwhile.
  static constexpr std::uint64_t kDefaultBurstNs = 250'000'000;

  constexpr OctetRate() noexcept = default;
  // bits_per_second 0: no limit. burst_octets 0: the octets of kDefaultBurstNs.
  constexpr OctetRate(std::uint64_t bits_per_second, std::uint64_t burst_octets) noexcept {
    if (bits_per_second == 0) return;
    packed_ = pack_cost(bits_per_second);
    const std::uint64_t burst_ns =
        burst_octets == 0 ? kDefaultBurstNs : cost_ns(std::min(burst_octets, kMaxBurstOctets));
    packed_ |= pack_burst(burst_ns);
  }

  [[nodiscard]] constexpr explicit operator bool() const noexcept { return packed_ != 0; }
  // `octets` below 2^36.
  [[nodiscard]] constexpr std::uint64_t cost_ns(std::uint64_t octets) const noexcept {
    return (octets * (packed_ & kMantissaMask)) >> (packed_ >> kShiftAt);
  }
  [[nodiscard]] constexpr std::uint64_t burst_ns() const noexcept {
    return std::uint64_t{16 + (packed_ & 15)} << ((packed_ >> 4 & 15) + 14);
  }
  friend constexpr bool operator==(const OctetRate&, const OctetRate&) noexcept = default;

 private:
  static constexpr std::uint32_t kShiftAt = 27;
  // In place, 8 bits up: that is the 2^8 of the cost.
  static constexpr std::uint32_t kMantissaMask = 0x07ff'ff00;
  static constexpr std::uint32_t kMaxMantissa = kMantissaMask >> 8;
  static constexpr std::uint64_t kMaxBurstOctets = std::uint64_t{1} << 35;

  static constexpr std::uint32_t pack_cost(std::uint64_t bits_per_second) noexcept {
    // ns for an octet = 8 · 10^9 / rate, with as many bits behind the point as fit. The numerator
    // is below 2^64, and a multiple of 2^8.
    constexpr std::uint64_t kNumerator = 8'000'000'000;
    std::uint32_t shift = 31;
    std::uint64_t mantissa = 0;
    for (;; --shift) {
      mantissa = ((kNumerator << shift >> 8) + bits_per_second / 2) / bits_per_second;
      if (mantissa <= kMaxMantissa || shift == 0) break;
    }
    const auto kept = std::clamp<std::uint64_t>(mantissa, 1, kMaxMantissa);
    return shift << kShiftAt | static_cast<std::uint32_t>(kept) << 8;
  }
  static constexpr std::uint32_t pack_burst(std::uint64_t ns) noexcept {
    std::uint64_t units = (ns + (1U << 14) - 1) >> 14;
    std::uint32_t exponent = 0;
    for (; units > 31 && exponent < 15; ++exponent) units = (units + 1) >> 1;
    const auto fraction = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(units, 16, 31) - 16);
    return exponent << 4 | fraction;
  }

  std::uint32_t packed_ = 0;
};

static_assert(sizeof(OctetRate) == 4);

}  // namespace pns::contract
