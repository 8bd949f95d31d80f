// SPDX-License-Identifier: BSD-3-Clause
//
// FlatMap: a sorted vector of keys and values, for maps that mostly hold one entry or none: an
// empty one takes 24 octets and no block of memory. A look-up costs O(log n), a change O(n) moves.
// One thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace pns {

template <class Key, class Value>
class FlatMap {
 public:
  using Entry = std::pair<Key, Value>;

  // A new entry, or another value for one that is there.
  void set(const Key& key, Value value) {
    const auto at = place(key);
    if (at != entries_.end() && at->first == key)
      at->second = std::move(value);
    else
      entries_.emplace(at, key, std::move(value));
  }
  void erase(const Key& key) {
    const auto at = place(key);
    if (at == entries_.end() || at->first != key) return;
    entries_.erase(at);
    if (entries_.empty()) entries_.shrink_to_fit();
  }
  [[nodiscard]] std::optional<Value> find(const Key& key) const {
    const auto at = std::ranges::lower_bound(entries_, key, {}, &Entry::first);
    return at == entries_.end() || at->first != key ? std::nullopt : std::optional(at->second);
  }

  // In ascending order. To erase all one by one, begin with the last.
  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }
  [[nodiscard]] const Entry& back() const noexcept { return entries_.back(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }

 private:
  [[nodiscard]] auto place(const Key& key) noexcept {
    return std::ranges::lower_bound(entries_, key, {}, &Entry::first);
  }
  std::vector<Entry> entries_;
};

}  // namespace pns
