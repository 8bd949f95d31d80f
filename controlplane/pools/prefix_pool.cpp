// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pools/prefix_pool.hpp"

#include <stdexcept>
#include <utility>

namespace pns::pools {

PrefixPool::PrefixPool(const std::vector<Ipv6Prefix>& prefixes, std::uint8_t length)
    : length_(length) {
  if (length == 0 || length > 64) throw std::invalid_argument("leases have 1 to 64 bits");
  for (const Ipv6Prefix& prefix : prefixes) {
    if (prefix.length == 0 || prefix.length > length)
      throw std::invalid_argument(prefix.to_string() + " cannot be cut into leases");
    const Range range{number_of(prefix.network()), std::uint64_t{1} << (length - prefix.length),
                      size_};
    if (contains({prefix.network(), length})) throw std::invalid_argument("IPv6 prefixes overlap");
    for (const Range& other : ranges_)
      if (other.first - range.first < range.count)
        throw std::invalid_argument("IPv6 prefixes overlap");
    ranges_.push_back(range);
    size_ += range.count;
  }
}

std::optional<Ipv6Prefix> PrefixPool::allocate() {
  while (never_used_ < size_) {
    const std::uint64_t index = never_used_++;
    if (!is_withheld(index) && taken_.insert(index).second) return prefix_of(index);
  }
  while (!released_.empty()) {
    const std::uint64_t index = released_.front();
    released_.pop_front();
    waiting_.erase(index);
    if (!is_withheld(index) && taken_.insert(index).second) return prefix_of(index);
  }
  return std::nullopt;
}

bool PrefixPool::claim(const Ipv6Prefix& prefix) {
  const auto index = contains(prefix) ? index_of(prefix) : std::nullopt;
  return index && !own_.contains(*index) && taken_.insert(*index).second;
}

void PrefixPool::release(const Ipv6Prefix& prefix) {
  const auto index = contains(prefix) ? index_of(prefix) : std::nullopt;
  if (index && taken_.erase(*index) != 0) put_back(*index);
}

// Below never_used_ an index would not be met again; above it is met there.
void PrefixPool::put_back(std::uint64_t index) {
  if (index < never_used_ && !is_withheld(index) && waiting_.insert(index).second)
    released_.push_back(index);
}

void PrefixPool::withhold(const std::vector<Ipv6Prefix>& own,
                          const std::vector<Ipv6Prefix>& fixed) {
  const auto own_before = std::exchange(own_, indices_of(own));
  const auto fixed_before = std::exchange(fixed_, indices_of(fixed));
  for (const auto* before : {&own_before, &fixed_before})
    for (const std::uint64_t index : *before)
      if (!taken_.contains(index)) put_back(index);
}

std::unordered_set<std::uint64_t> PrefixPool::indices_of(
    const std::vector<Ipv6Prefix>& prefixes) const {
  std::unordered_set<std::uint64_t> indices;
  for (const Ipv6Prefix& prefix : prefixes)
    if (const auto index = index_of(prefix)) indices.insert(*index);
  return indices;
}

bool PrefixPool::contains(const Ipv6Prefix& prefix) const noexcept {
  return prefix.length == length_ && index_of(prefix).has_value();
}

std::optional<std::uint64_t> PrefixPool::index_of(const Ipv6Prefix& prefix) const noexcept {
  if (prefix.length < length_) return std::nullopt;
  const std::uint64_t number = number_of(prefix.address);
  for (const Range& range : ranges_)
    if (number - range.first < range.count) return range.first_index + (number - range.first);
  return std::nullopt;
}

Ipv6Prefix PrefixPool::prefix_of(std::uint64_t index) const noexcept {
  for (const Range& range : ranges_)
    if (index - range.first_index < range.count)
      return {{(range.first + (index - range.first_index)) << (64 - length_), 0}, length_};
  return {};
}

}  // namespace pns::pools
