// SPDX-License-Identifier: BSD-3-Clause
//
// CallIdAllocator: the Call IDs of one local address (RFC 2637 §3.2.2). An id is drawn uniformly
// from the free ones, is never 0, and after release is in quarantine so that stale GRE meets no new
// call. How long that is depends on what a network may still hold: an id that never carried GRE
// rests for a second. While fewer than a quarter of all ids are free, the others rest for
// kShortQuarantine only, so that a flood of calls cannot use the ids up. Every operation costs the
// same when one id is free as when all are. 66 KiB per address. One thread (the event loop).
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "pns/base/ids.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"

namespace pns::pptp {

// Which steering buckets (low 8 bits of the Call ID) are wanted.
using BucketMask = std::bitset<kSteeringBuckets>;

class CallIdAllocator {
 public:
  static constexpr Duration kQuarantine = Seconds(60);
  static constexpr Duration kShortQuarantine = Seconds(10);  // while few ids are free
  static constexpr Duration kUnusedQuarantine = Seconds(1);  // of an id that never carried GRE
  static constexpr std::size_t kFewFree = 16'384;

  explicit CallIdAllocator(Duration quarantine = kQuarantine);

  // A free id whose bucket is in `buckets`; empty when there is none (another mask may have one).
  [[nodiscard]] std::optional<OurCallId> allocate(const BucketMask& buckets, RandomSource& random,
                                                  TimePoint now);
  // A free id of any bucket.
  [[nodiscard]] std::optional<OurCallId> allocate(RandomSource& random, TimePoint now);

  // Takes this very id, for a call that lived through a restart; even out of quarantine. False when
  // it is 0 or in use.
  [[nodiscard]] bool claim(OurCallId id);

  // An id that an earlier process released is in quarantine until then. To be called in the order
  // of `until`, before anything is released. One that is in use is left alone.
  void rest(OurCallId id, TimePoint until);

  // Those in quarantine at `now`, the first to end first.
  struct Resting {
    OurCallId id;
    TimePoint until;
  };
  [[nodiscard]] std::vector<Resting> resting(TimePoint now);

  // How many resting() has.
  [[nodiscard]] std::size_t resting_count(TimePoint now) const;

  // Gives an id back into quarantine. `carried_gre`: a packet under it may be on its way. An id
  // that is not in use is ignored.
  void release(OurCallId id, bool carried_gre, TimePoint now);

  [[nodiscard]] std::size_t in_use() const noexcept { return in_use_count_; }
  // Ids that can be had at `now`.
  [[nodiscard]] std::size_t available(TimePoint now);

 private:
  // The free ids of one bucket by their high octet, in no order.
  struct Bucket {
    std::uint16_t count = 0;
    std::array<std::uint8_t, 256> high;
  };

  void end_quarantine(TimePoint now);
  void end_quarantine(std::deque<Resting>& queue, TimePoint before);
  void put_free(OurCallId id) noexcept;
  void take_free(OurCallId id) noexcept;

  Duration quarantine_;
  std::unique_ptr<std::array<Bucket, kSteeringBuckets>> free_;
  std::bitset<65536> in_use_;
  std::bitset<65536> resting_;
  std::deque<Resting> quarantined_;  // ordered by `until`
  std::deque<Resting> unused_;       // the same, of those that never carried GRE
  std::size_t in_use_count_ = 0;
  std::size_t free_count_ = 0;
};

}  // namespace pns::pptp
