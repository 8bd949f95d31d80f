// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/session/prefix_index.hpp"

#include <algorithm>
#include <bit>

namespace pns::dataplane {

PrefixIndex::PrefixIndex(std::uint32_t max_prefixes) {
  const std::size_t size = std::bit_ceil(std::size_t{std::max(max_prefixes, 1U)} * 2);
  mask_ = size - 1;
  shift_ = 64U - static_cast<unsigned>(std::countr_zero(size));
  words_ = std::make_unique<std::atomic<std::uint64_t>[]>(size);
}

void PrefixIndex::insert(std::uint64_t prefix, std::uint32_t slot) noexcept {
  const std::uint64_t hash = hash_of(prefix);
  std::size_t at = hash >> shift_;
  // Ends: half of them hold no prefix.
  while (static_cast<std::uint32_t>(words_[at].load(std::memory_order_relaxed)) != 0)
    at = (at + 1) & mask_;
  words_[at].store(hash << 32 | (slot + 1), std::memory_order_release);
}

void PrefixIndex::erase(std::uint64_t prefix, std::uint32_t slot) noexcept {
  const std::uint64_t hash = hash_of(prefix);
  const std::uint64_t wanted = hash << 32 | (slot + 1);
  std::size_t at = hash >> shift_;
  for (std::size_t step = 0; words_[at].load(std::memory_order_relaxed) != wanted;
       ++step, at = (at + 1) & mask_)
    if (step > mask_ || words_[at].load(std::memory_order_relaxed) == 0) return;
  words_[at].store(kTombstone, std::memory_order_release);
  // Behind the end of a run there is nothing that a look-up would have to go past a mark for.
  if (words_[(at + 1) & mask_].load(std::memory_order_relaxed) != 0) return;
  for (; words_[at].load(std::memory_order_relaxed) == kTombstone; at = (at - 1) & mask_)
    words_[at].store(0, std::memory_order_release);
}

}  // namespace pns::dataplane
