// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/call_id_allocator.hpp"

#include <algorithm>
#include <limits>

namespace pns::pptp {
namespace {

// Uniform in [0, bound), bound > 0: values above the last whole multiple are drawn again.
std::uint32_t uniform_below(std::uint32_t bound, RandomSource& random) {
  const std::uint32_t limit = std::numeric_limits<std::uint32_t>::max() -
                              (std::numeric_limits<std::uint32_t>::max() % bound + 1) % bound;
  for (;;) {
    const std::uint32_t value = random.next_u32();
    if (value <= limit) return value % bound;
  }
}

}  // namespace

CallIdAllocator::CallIdAllocator(Duration quarantine)
    : quarantine_(quarantine), free_(std::make_unique<std::array<Bucket, kSteeringBuckets>>()) {
  for (std::uint32_t id = 1; id <= 0xffff; ++id)
    put_free(OurCallId(static_cast<std::uint16_t>(id)));
}

void CallIdAllocator::put_free(OurCallId id) noexcept {
  Bucket& bucket = (*free_)[steering_bucket(id)];
  bucket.high[bucket.count++] = static_cast<std::uint8_t>(id.value >> 8);
  ++free_count_;
}

void CallIdAllocator::end_quarantine(std::deque<Resting>& queue, TimePoint now) {
  while (!queue.empty() && queue.front().until <= now) {
    const OurCallId id = queue.front().id;
    queue.pop_front();
    if (!resting_[id.value]) continue;
    resting_[id.value] = false;
    put_free(id);
  }
}

void CallIdAllocator::end_quarantine(TimePoint now) {
  end_quarantine(unused_, now);
  end_quarantine(quarantined_, now);
  if (free_count_ < kFewFree && quarantine_ > kShortQuarantine)
    end_quarantine(quarantined_, now + (quarantine_ - kShortQuarantine));
}

std::optional<OurCallId> CallIdAllocator::allocate(const BucketMask& buckets, RandomSource& random,
                                                   TimePoint now) {
  end_quarantine(now);
  std::uint32_t candidates = 0;
  for (std::size_t b = 0; b < kSteeringBuckets; ++b)
    if (buckets[b]) candidates += (*free_)[b].count;
  if (candidates == 0) return std::nullopt;

  std::uint32_t pick = uniform_below(candidates, random);
  for (std::size_t b = 0; b < kSteeringBuckets; ++b) {
    if (!buckets[b]) continue;
    Bucket& bucket = (*free_)[b];
    if (pick >= bucket.count) {
      pick -= bucket.count;
      continue;
    }
    const OurCallId id(static_cast<std::uint16_t>(bucket.high[pick] << 8 | static_cast<int>(b)));
    bucket.high[pick] = bucket.high[--bucket.count];
    --free_count_;
    in_use_[id.value] = true;
    ++in_use_count_;
    return id;
  }
  return std::nullopt;
}

std::optional<OurCallId> CallIdAllocator::allocate(RandomSource& random, TimePoint now) {
  return allocate(BucketMask().set(), random, now);
}

bool CallIdAllocator::claim(OurCallId id) {
  if (id.value == 0 || in_use_[id.value]) return false;
  if (resting_[id.value]) {
    resting_[id.value] = false;
    // Its entry must go too: were the id released again, the old entry would end its rest early.
    for (auto* queue : {&quarantined_, &unused_})
      std::erase_if(*queue, [id](const Resting& resting) { return resting.id == id; });
  } else {
    take_free(id);
  }
  in_use_[id.value] = true;
  ++in_use_count_;
  return true;
}

void CallIdAllocator::take_free(OurCallId id) noexcept {
  Bucket& bucket = (*free_)[steering_bucket(id)];
  const auto high = static_cast<std::uint8_t>(id.value >> 8);
  for (std::uint16_t i = 0; i < bucket.count; ++i) {
    if (bucket.high[i] != high) continue;
    bucket.high[i] = bucket.high[--bucket.count];
    --free_count_;
    return;
  }
}

void CallIdAllocator::rest(OurCallId id, TimePoint until) {
  if (id.value == 0 || in_use_[id.value] || resting_[id.value]) return;
  take_free(id);
  resting_[id.value] = true;
  quarantined_.push_back({id, until});
}

void CallIdAllocator::release(OurCallId id, bool carried_gre, TimePoint now) {
  if (!in_use_[id.value]) return;
  in_use_[id.value] = false;
  --in_use_count_;
  resting_[id.value] = true;
  if (carried_gre)
    quarantined_.push_back({id, now + quarantine_});
  else
    unused_.push_back({id, now + std::min(quarantine_, kUnusedQuarantine)});
}

std::vector<CallIdAllocator::Resting> CallIdAllocator::resting(TimePoint now) {
  end_quarantine(now);
  std::vector<Resting> out(quarantined_.size() + unused_.size());
  std::ranges::merge(unused_, quarantined_, out.begin(), {}, &Resting::until, &Resting::until);
  return out;
}

std::size_t CallIdAllocator::resting_count(TimePoint now) const {
  const auto after = [now](const std::deque<Resting>& queue) {
    return std::ranges::upper_bound(queue, now, {}, &Resting::until);
  };
  return static_cast<std::size_t>(quarantined_.end() - after(quarantined_)) +
         static_cast<std::size_t>(unused_.end() - after(unused_));
}

std::size_t CallIdAllocator::available(TimePoint now) {
  end_quarantine(now);
  return free_count_;
}

}  // namespace pns::pptp
