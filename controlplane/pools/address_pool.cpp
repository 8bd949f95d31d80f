// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/address_pool.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace pns::pools {

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
  for (std::uint32_t index = 0; index < total; ++index) {
    push(index);
    ++size_;
  }
  reserve(gateway_);
}

void AddressPool::reserve(Ipv4Address address) noexcept {
  const auto index = index_of(address);
  if (!index || links_[*index].previous == kReserved) return;
  unlink(*index);
  links_[*index].previous = kReserved;
  --size_;
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
  free.reserve(size_ - in_use_);
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
  if (!index || links_[*index].previous == kTaken || links_[*index].previous == kReserved)
    return false;
  unlink(*index);
  ++in_use_;
  return true;
}

bool AddressPool::release(Ipv4Address address) {
  const auto index = index_of(address);
  if (!index || links_[*index].previous != kTaken) return false;
  push(*index);
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
