// SPDX-License-Identifier: BSD-3-Clause
//
// The text of Mikrotik-Rate-Limit, as RouterOS reads it:
//
//   rx[/tx] [rx-burst[/tx-burst] [rx-threshold[/tx-threshold] [rx-time[/tx-time]
//   [priority [rx-minimum[/tx-minimum]]]]]]
//
// rx is received from the client: upload. Rates are bits per second; k, M and G are powers of
// 1,000. A missing tx is rx. Pure functions, any thread, no allocation, no throw.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pns/base/time.hpp"

namespace pns::radius {

inline constexpr std::uint64_t kMaximumRate = 1'000'000'000'000;  // bits per second
inline constexpr Seconds kMaximumBurstTime{86'400};

// One direction. All rates are bits per second.
struct RateLimit {
  std::uint64_t rate = 0;        // 0: no limit
  std::uint64_t burst_rate = 0;  // while the average over burst_time is below burst_threshold
  std::uint64_t burst_threshold = 0;
  Seconds burst_time{0};
  std::uint64_t minimum_rate = 0;  // 0: not told

  [[nodiscard]] constexpr bool has_burst() const noexcept {
    return rate != 0 && burst_rate > rate && burst_threshold < burst_rate;
  }
  // Depth of the token bucket that this burst amounts to: it is filled at `rate` and drained at
  // `burst_rate` at most. 0 without a burst.
  [[nodiscard]] constexpr std::uint64_t burst_bits() const noexcept {
    if (!has_burst()) return 0;
    return (burst_rate - burst_threshold) * static_cast<std::uint64_t>(burst_time.count());
  }
  friend bool operator==(const RateLimit&, const RateLimit&) noexcept = default;
};

struct MikrotikRateLimit {
  RateLimit upload;
  RateLimit download;
  std::uint8_t priority = 8;  // 1 to 8, 1 is the highest
  friend bool operator==(const MikrotikRateLimit&, const MikrotikRateLimit&) noexcept = default;

  // Where bursts are told without thresholds these are the rates, and without times 1 s. Empty when
  // the text is anything else, or a rate is above kMaximumRate.
  [[nodiscard]] static std::optional<MikrotikRateLimit> parse(std::string_view text) noexcept;
};

}  // namespace pns::radius
