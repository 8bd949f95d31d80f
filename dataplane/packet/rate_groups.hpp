// SPDX-License-Identifier: BSD-3-Clause
//
// RateGroups: the token buckets that the sessions of a group share, one for each direction. A
// worker takes a slice of the bucket's time with one atomic operation (GroupShares) and spends it
// packet by packet. So the budget is divided between workers by demand, and packets share no cache
// line.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/packet/policer.hpp"
#include "pns/contract/octet_rate.hpp"

namespace pns::dataplane {

// Made by main before the workers start; afterwards all workers use the buckets.
class RateGroups {
 public:
  // A slice is this part of the burst: the octets of 1 ms with the default burst. 64 workers that
  // have one each hold a quarter of the burst.
  static constexpr unsigned kSlicesOfBurst = 256;

  struct Limits {
    contract::OctetRate up, down;  // no limit: this direction is free
  };
  struct Direction {
    contract::OctetRate rate;
    // CLOCK_MONOTONIC, the time until which what workers took is paid for.
    std::atomic<std::uint64_t>* spent_until = nullptr;
  };

  // limits[n]: of group n. Group 0 is none.
  explicit RateGroups(const std::vector<Limits>& limits)
      : limits_(limits), buckets_(std::make_unique<Bucket[]>(2 * limits.size())) {}

  [[nodiscard]] std::size_t size() const noexcept { return limits_.size(); }
  // direction: 0 upstream, 1 downstream. A number that is unknown has no limit.
  [[nodiscard]] Direction get(std::uint16_t group, std::size_t direction) const noexcept {
    if (group >= limits_.size()) return {};
    const Limits& limits = limits_[group];
    return {direction == 0 ? limits.up : limits.down, &buckets_[2 * group + direction].spent_until};
  }

 private:
  struct alignas(64) Bucket {
    std::atomic<std::uint64_t> spent_until{0};
  };

  std::vector<Limits> limits_;
  std::unique_ptr<Bucket[]> buckets_;  // by group, then by direction
};

// The slices of one worker. Owner only.
class GroupShares {
 public:
  explicit GroupShares(const RateGroups* groups)
      : groups_(groups), shares_(groups == nullptr ? 0 : 2 * groups->size()) {}

  // When the group's bucket admits a packet: `paid_until` is the position behind it. Nothing is
  // spent before spend(). No limit: both are 0.
  struct Offer {
    std::uint64_t paid_until = 0;
    std::uint64_t leaves_ns = 0;
  };
  // `max_ahead_ns`: a packet may have to wait so long at most, 0 where it may not.
  [[nodiscard]] Offer offer(std::uint16_t group, std::size_t direction, std::uint64_t octets,
                            std::uint64_t now_ns, std::uint64_t max_ahead_ns) const noexcept {
    const RateGroups::Direction bucket = find(group, direction);
    if (!bucket.rate) return {};
    const std::uint64_t cost = bucket.rate.cost_ns(octets);
    const Share& share = shares_[2 * group + direction];
    std::uint64_t from = std::max(share.at, now_ns);
    if (from >= share.end) from = start_of(bucket, now_ns, max_ahead_ns) + debt_of(share);
    const std::uint64_t burst = std::max(bucket.rate.burst_ns(), cost);
    const std::uint64_t paid_until = from + cost;
    return {paid_until, paid_until - std::min(paid_until, burst)};
  }
  // The packet of the offer leaves.
  void spend(std::uint16_t group, std::size_t direction, std::uint64_t octets, std::uint64_t now_ns,
             std::uint64_t max_ahead_ns) noexcept {
    const RateGroups::Direction bucket = find(group, direction);
    if (!bucket.rate) return;
    const std::uint64_t cost = bucket.rate.cost_ns(octets);
    Share& share = shares_[2 * group + direction];
    std::uint64_t from = std::max(share.at, now_ns);
    if (from >= share.end) {
      const std::uint64_t slice =
          std::max(bucket.rate.burst_ns() / RateGroups::kSlicesOfBurst, cost);
      std::uint64_t seen = bucket.spent_until->load(std::memory_order_relaxed);
      std::uint64_t start = 0;
      do {
        start = paid_from(seen, now_ns, most_ahead(bucket.rate, max_ahead_ns));
      } while (!bucket.spent_until->compare_exchange_weak(seen, start + slice,
                                                          std::memory_order_relaxed));
      from = start + debt_of(share);
      share.end = start + slice;
    }
    share.at = from + cost;
  }

 private:
  // Time of the group's bucket: [at, end) is not spent yet. `at` behind `end` is a debt.
  struct Share {
    std::uint64_t at = 0;
    std::uint64_t end = 0;
  };

  [[nodiscard]] RateGroups::Direction find(std::uint16_t group,
                                           std::size_t direction) const noexcept {
    return groups_ == nullptr ? RateGroups::Direction{} : groups_->get(group, direction);
  }
  [[nodiscard]] static std::uint64_t most_ahead(contract::OctetRate rate,
                                                std::uint64_t max_ahead_ns) noexcept {
    // 64 workers may have a slice each.
    return 4 * rate.burst_ns() + max_ahead_ns + 64 * rate.cost_ns(kMaxPacketOctets);
  }
  [[nodiscard]] static std::uint64_t start_of(const RateGroups::Direction& bucket,
                                              std::uint64_t now_ns,
                                              std::uint64_t max_ahead_ns) noexcept {
    return paid_from(bucket.spent_until->load(std::memory_order_relaxed), now_ns,
                     most_ahead(bucket.rate, max_ahead_ns));
  }
  // The last packet of a slice may be longer than the rest of it.
  [[nodiscard]] static std::uint64_t debt_of(const Share& share) noexcept {
    return share.at > share.end ? share.at - share.end : 0;
  }

  const RateGroups* groups_;
  std::vector<Share> shares_;  // by group, then by direction
};

}  // namespace pns::dataplane
