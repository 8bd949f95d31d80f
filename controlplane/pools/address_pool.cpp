// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/address_pool.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pns::pools {
namespace {

// Whether an address that is withheld for these reasons is no part of the pool's size.
bool is_excluded(unsigned bits) noexcept {
  using Withheld = AddressPool::Withheld;
  return (bits &
          (static_cast<unsigned>(Withheld::kOwn) | static_cast<unsigned>(Withheld::kSkipped))) != 0;
}

}  // namespace

AddressPool::AddressPool(const PoolConfig& config) : name_(config.name), gateway_(config.gateway) {
  std::vector<Ipv4Range> sorted = config.ranges;
  std::sort(sorted.begin(), sorted.end(),
            [](const Ipv4Range& a, const Ipv4Range& b) { return a.first < b.first; });
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i].last < sorted[i].first)
      throw std::invalid_argument("pool " + name_ + ": a range ends before it begins");
    if (i != 0 && sorted[i].overlaps(sorted[i - 1]))
      throw std::invalid_argument("pool " + name_ + ": ranges overlap");
    ranges_.push_back({sorted[i], static_cast<std::uint32_t>(total)});
    total += sorted[i].size();
    if (total > kMaximumAddresses)
      throw std::invalid_argument("pool " + name_ + ": more than 2^24 addresses");
  }
  links_.resize(static_cast<std::size_t>(total));
  for (std::uint32_t index = 0; index < total; ++index) push(index);
  withhold(gateway_, Withheld::kOwn);
  for (const Ipv4Range& range : config.exclude)
    for (std::uint64_t address = range.first.value; address <= range.last.value; ++address)
      withhold(Ipv4Address(static_cast<std::uint32_t>(address)), Withheld::kSkipped);
  if (!config.skip_0_and_255) return;
  for (const Range& range : ranges_)
    for (std::uint64_t base = range.addresses.first.value & ~0xffu;
         base <= range.addresses.last.value; base += 256) {
      withhold(Ipv4Address(static_cast<std::uint32_t>(base)), Withheld::kSkipped);
      withhold(Ipv4Address(static_cast<std::uint32_t>(base + 255)), Withheld::kSkipped);
    }
}

void AddressPool::withhold(Ipv4Address address, Withheld why) {
  const auto index = index_of(address);
  if (!index) return;
  std::uint8_t& bits = withheld_[*index];
  const auto bit = static_cast<std::uint8_t>(why);
  if ((bits & bit) != 0) return;
  excluded_ += static_cast<std::size_t>(is_excluded(bits | bit)) - is_excluded(bits);
  bits |= bit;
  const std::uint32_t state = links_[*index].previous;
  if (state == kTaken || state == kIdle) return;
  unlink(*index);
  links_[*index].previous = kIdle;
}

void AddressPool::stop_withholding(Ipv4Address address, Withheld why) {
  const auto index = index_of(address);
  const auto found = index ? withheld_.find(*index) : withheld_.end();
  const auto bit = static_cast<std::uint8_t>(why);
  if (found == withheld_.end() || (found->second & bit) == 0) return;
  const auto left = static_cast<std::uint8_t>(found->second & ~bit);
  excluded_ -= static_cast<std::size_t>(is_excluded(found->second)) - is_excluded(left);
  found->second = left;
  if (found->second != 0) return;
  withheld_.erase(found);
  if (links_[*index].previous == kIdle) push(*index);
}

bool AddressPool::is_own(std::uint32_t index) const {
  const auto found = withheld_.find(index);
  return found != withheld_.end() &&
         (found->second & static_cast<std::uint8_t>(Withheld::kOwn)) != 0;
}

void AddressPool::put_back(std::uint32_t index) {
  if (withheld_.contains(index))
    links_[index] = {kIdle, kNone};
  else
    push(index);
}

std::optional<Ipv4Address> AddressPool::allocate(const BucketMask& preferred) {
  const BucketMask wanted = preferred & has_free_;
  const BucketMask& candidates = wanted.any() ? wanted : has_free_;
  if (candidates.none()) return std::nullopt;

  // The first candidate after the bucket that was served last.
  std::size_t bucket = cursor_;
  do bucket = (bucket + 1) % kSteeringBuckets;
  while (!candidates[bucket]);
  cursor_ = bucket;

  const std::uint32_t index = free_[bucket].head;
  unlink(index);
  ++in_use_;
  return address_of(index);
}

void AddressPool::set_buckets(AddressBucket bucket) {
  std::vector<std::uint32_t> free;
  free.reserve(links_.size() - in_use_);
  for (const Queue& queue : free_)
    for (std::uint32_t index = queue.head; index != kNone; index = links_[index].next)
      free.push_back(index);
  free_.fill({});
  has_free_.reset();
  bucket_ = std::move(bucket);
  for (const std::uint32_t index : free) push(index);
}

bool AddressPool::claim(Ipv4Address address) {
  const auto index = index_of(address);
  if (!index || links_[*index].previous == kTaken || is_own(*index)) return false;
  if (links_[*index].previous == kIdle)
    links_[*index] = {kTaken, kNone};
  else
    unlink(*index);
  ++in_use_;
  return true;
}

bool AddressPool::release(Ipv4Address address) {
  const auto index = index_of(address);
  if (!index || links_[*index].previous != kTaken) return false;
  put_back(*index);
  --in_use_;
  return true;
}

bool AddressPool::contains(Ipv4Address address) const noexcept {
  return index_of(address).has_value();
}

std::optional<std::uint32_t> AddressPool::index_of(Ipv4Address address) const noexcept {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), address,
                       [](Ipv4Address a, const Range& range) { return a < range.addresses.first; });
  if (after == ranges_.begin()) return std::nullopt;
  const Range& range = *(after - 1);
  if (!range.addresses.contains(address)) return std::nullopt;
  return range.first_index + (address.value - range.addresses.first.value);
}

Ipv4Address AddressPool::address_of(std::uint32_t index) const noexcept {
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), index,
                       [](std::uint32_t i, const Range& range) { return i < range.first_index; });
  const Range& range = *(after - 1);
  return Ipv4Address(range.addresses.first.value + (index - range.first_index));
}

std::size_t AddressPool::bucket_of(std::uint32_t index) const {
  const Ipv4Address address = address_of(index);
  return bucket_ ? bucket_(address) : address.value & 0xff;
}

void AddressPool::push(std::uint32_t index) noexcept {
  const std::size_t bucket = bucket_of(index);
  Queue& queue = free_[bucket];
  links_[index] = {queue.tail, kNone};
  if (queue.tail == kNone)
    queue.head = index;
  else
    links_[queue.tail].next = index;
  queue.tail = index;
  has_free_[bucket] = true;
}

void AddressPool::unlink(std::uint32_t index) noexcept {
  const std::size_t bucket = bucket_of(index);
  Queue& queue = free_[bucket];
  const Links links = links_[index];
  if (links.previous == kNone)
    queue.head = links.next;
  else
    links_[links.previous].next = links.next;
  if (links.next == kNone)
    queue.tail = links.previous;
  else
    links_[links.next].previous = links.previous;
  links_[index] = {kTaken, kNone};
  if (queue.head == kNone) has_free_[bucket] = false;
}

}  // namespace pns::pools
