// SPDX-License-Identifier: BSD-3-Clause
//
// TokenBucket: at most `burst` tokens at once, and `rate` a second. Time is a parameter. It holds
// the moment until which what was taken is paid for, so that it costs no timer and cannot overflow.
// One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "pns/base/time.hpp"

namespace pns {

class TokenBucket {
 public:
  struct Settings {
    std::uint32_t rate = 0;  // tokens a second, at most 1,000,000,000; 0: there are always enough
    std::uint32_t burst = 1;

    [[nodiscard]] bool is_off() const noexcept { return rate == 0; }
    [[nodiscard]] Duration interval() const noexcept { return Duration(Seconds(1)) / rate; }
  };

  // Tokens that can be taken at `now`. Precondition, here and below: settings are not off.
  [[nodiscard]] std::size_t available(const Settings& settings, TimePoint now) const noexcept {
    const Duration interval = settings.interval();
    return static_cast<std::size_t>((now - base(settings, now)) / interval);
  }
  // Takes so many, or those that there are.
  void take(const Settings& settings, std::size_t tokens, TimePoint now) noexcept {
    tokens = std::min(tokens, available(settings, now));
    spent_ = base(settings, now) + settings.interval() * static_cast<std::int64_t>(tokens);
  }
  [[nodiscard]] bool try_take(const Settings& settings, TimePoint now) noexcept {
    if (available(settings, now) == 0) return false;
    take(settings, 1, now);
    return true;
  }
  [[nodiscard]] bool is_full(const Settings& settings, TimePoint now) const noexcept {
    return spent_ <= now - settings.interval() * std::int64_t{settings.burst};
  }

 private:
  [[nodiscard]] TimePoint base(const Settings& settings, TimePoint now) const noexcept {
    return std::min(now,
                    std::max(spent_, now - settings.interval() * std::int64_t{settings.burst}));
  }

  TimePoint spent_ = TimePoint::min();
};

}  // namespace pns
