// SPDX-License-Identifier: BSD-3-Clause
//
// A token bucket in one integer (GCRA, ITU-T I.371): `spent_until` is the time at which everything
// let through so far is paid for. Fits in session memory and survives a restart. Owner only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "pns/contract/octet_rate.hpp"

namespace pns::dataplane {

// From when a further event is paid for. `most_ahead_ns`: as far as any event can have brought the
// bucket. A clock that was set back (another boot's memory) must not close it for ever.
[[nodiscard]] inline std::uint64_t paid_from(std::uint64_t spent_until, std::uint64_t now_ns,
                                             std::uint64_t most_ahead_ns) noexcept {
  const std::uint64_t from = std::max(spent_until, now_ns);
  return from - now_ns > most_ahead_ns ? now_ns : from;
}

// Lets an event of `cost_ns` through unless the bucket would be more than `burst_ns` ahead of now.
[[nodiscard]] inline bool admit(std::uint64_t& spent_until, std::uint64_t now_ns,
                                std::uint64_t cost_ns, std::uint64_t burst_ns,
                                std::uint64_t most_ahead_ns) noexcept {
  const std::uint64_t start = paid_from(spent_until, now_ns, most_ahead_ns);
  if (start + cost_ns > now_ns + burst_ns) return false;
  spent_until = start + cost_ns;
  return true;
}

// The same where every event costs the same.
[[nodiscard]] inline bool admit(std::uint64_t& spent_until, std::uint64_t now_ns,
                                std::uint64_t cost_ns, std::uint64_t burst_ns) noexcept {
  return admit(spent_until, now_ns, cost_ns, burst_ns, burst_ns + cost_ns);
}

// A bucket of the worker's own, in events.
struct EventBucket {
  std::uint64_t cost_ns = 0;
  std::uint64_t burst_ns = 0;
  std::uint64_t spent_until = 0;

  EventBucket() noexcept = default;  // everything passes
  // rate 0: everything passes.
  EventBucket(std::uint32_t per_second, std::uint32_t burst) noexcept
      : cost_ns(per_second == 0 ? 0 : 1'000'000'000ULL / per_second),
        burst_ns(cost_ns * std::max<std::uint32_t>(burst, 1)) {}

  // `count` events, at most as many as the burst.
  [[nodiscard]] bool admit_some(std::uint64_t count, std::uint64_t now_ns) noexcept {
    return cost_ns == 0 ||
           admit(spent_until, now_ns, count * cost_ns, burst_ns, burst_ns + cost_ns);
  }
  [[nodiscard]] bool admit_one(std::uint64_t now_ns) noexcept { return admit_some(1, now_ns); }
  // When one event passes, or has passed already.
  [[nodiscard]] std::uint64_t next_due_ns() const noexcept {
    const std::uint64_t spent = spent_until + cost_ns;
    return spent > burst_ns ? spent - burst_ns : 0;
  }
  // Events that have happened, as many as they are: the bucket may owe some after that.
  void spend(std::uint64_t count, std::uint64_t now_ns) noexcept {
    spent_until = std::max(spent_until, now_ns) + count * cost_ns;
  }
  // Gives back the tokens of events that were let through and cost nothing in the end.
  void refund(std::uint64_t count) noexcept { spent_until -= count * cost_ns; }
};

inline constexpr std::uint64_t kMaxPacketOctets = 65'575;  // IPv6 header and 65,535 octets

// A session's rate limit over octets. `rate` must be a limit.
[[nodiscard]] inline bool admit_octets(std::uint64_t& spent_until, std::uint64_t now_ns,
                                       std::uint64_t octets, contract::OctetRate rate) noexcept {
  const std::uint64_t cost = rate.cost_ns(octets);
  // A rate so low that one packet exceeds the burst still lets one packet through at a time.
  const std::uint64_t burst = std::max(rate.burst_ns(), cost);
  return admit(spent_until, now_ns, cost, burst, burst + rate.cost_ns(kMaxPacketOctets));
}

}  // namespace pns::dataplane
