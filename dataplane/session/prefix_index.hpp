// SPDX-License-Identifier: BSD-3-Clause
//
// PrefixIndex: /64 → session slot, for downstream IPv6. Open addressing with linear probing over
// 64-bit words: half a hash in the upper half, slot + 1 in the lower. A word says only "perhaps";
// the caller compares with the session record, which the packet needs anyway, so a look-up costs
// one cache line here and one that was wanted. Why not rte_hash: docs/decisions/0005.
//
// Main writes; workers read without locks. An entry is published or taken back by one store and
// never moves, so a reader cannot miss one that stays. An entry that leaves the middle of a
// run leaves a mark; marks are used again, and those at the end of a run go. Memory: 16 to 32
// octets for each session that may exist, mapped at construction.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pns::dataplane {

class PrefixIndex {
 public:
  // Room for so many prefixes in half of its words: a look-up of one that is not there goes past
  // one or two, and, after all of them have changed many times over, ten to twenty.
  explicit PrefixIndex(std::uint32_t max_prefixes);

  // --- main only ---
  // `prefix`: the upper half of the /64, host order; it must not be in the index, and no more than
  // max_prefixes may be.
  void insert(std::uint64_t prefix, std::uint32_t slot) noexcept;
  // Nothing when they are not in the index together.
  void erase(std::uint64_t prefix, std::uint32_t slot) noexcept;

  // --- any thread ---
  static constexpr std::uint32_t kNone = UINT32_MAX;
  // The slot for which is_it(slot) holds among those the prefix may belong to, or kNone.
  template <class IsIt>
  [[nodiscard]] std::uint32_t find(std::uint64_t prefix, IsIt is_it) const noexcept {
    const std::uint64_t hash = hash_of(prefix);
    std::size_t at = hash >> shift_;
    for (std::size_t step = 0; step <= mask_; ++step, at = (at + 1) & mask_) {
      const std::uint64_t word = words_[at].load(std::memory_order_acquire);
      if (word == 0) return kNone;
      const auto slot = static_cast<std::uint32_t>(word) - 1;  // kNone: a mark
      if ((word >> 32) == (hash & UINT32_MAX) && slot != kNone && is_it(slot)) return slot;
    }
    return kNone;
  }

 private:
  static constexpr std::uint64_t kTombstone = std::uint64_t{UINT32_MAX} << 32;

  // Fibonacci hashing: the prefixes of a pool follow each other, and it spreads those evenly.
  [[nodiscard]] static constexpr std::uint64_t hash_of(std::uint64_t prefix) noexcept {
    return prefix * 0x9e3779b97f4a7c15;
  }

  std::size_t mask_;
  unsigned shift_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;  // main: writes; workers: read. 0: empty
};

}  // namespace pns::dataplane
