// SPDX-License-Identifier: BSD-3-Clause
//
// PrefixPool: the IPv6 prefixes of one named pool, cut into prefixes of one length, one for each
// session. One that was never used comes first, then the one that has been free the longest. Memory
// grows with what was leased at once, not with the size of the prefixes. No I/O, one thread (the
// event loop).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_set>
#include <vector>

#include "pns/base/ip_address.hpp"

namespace pns::pools {

class PrefixPool {
 public:
  // Prefixes of at most `length` bits that do not overlap. `length`: of the leases, 1 to 64 bits.
  // Throws std::invalid_argument for others.
  explicit PrefixPool(const std::vector<Ipv6Prefix>& prefixes, std::uint8_t length = 64);

  // A free prefix. Empty when the pool is used up.
  [[nodiscard]] std::optional<Ipv6Prefix> allocate();
  // Takes this very prefix, a fixed one too. False when it is not of this pool, is our own or is
  // taken.
  [[nodiscard]] bool claim(const Ipv6Prefix& prefix);
  // Gives a prefix back; one that is not held is ignored.
  void release(const Ipv6Prefix& prefix);

  // From now on allocate() gives none out that holds one of these. Those of `own` hold an address
  // of this server and are refused to claim() too; those of `fixed` belong to accounts. Leases
  // stay. Prefixes that are not of this pool, or shorter than its leases, are ignored.
  void withhold(const std::vector<Ipv6Prefix>& own, const std::vector<Ipv6Prefix>& fixed);

  // A prefix of the length of its leases, inside of its prefixes.
  [[nodiscard]] bool contains(const Ipv6Prefix& prefix) const noexcept;
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }  // leases
  [[nodiscard]] std::size_t in_use() const noexcept { return taken_.size(); }

 private:
  struct Range {
    std::uint64_t first;  // number_of() its first lease
    std::uint64_t count;
    std::uint64_t first_index;
  };

  // The lease that holds the prefix.
  [[nodiscard]] std::optional<std::uint64_t> index_of(const Ipv6Prefix& prefix) const noexcept;
  [[nodiscard]] std::uint64_t number_of(const Ipv6Address& address) const noexcept {
    return address.high >> (64 - length_);
  }
  [[nodiscard]] Ipv6Prefix prefix_of(std::uint64_t index) const noexcept;
  [[nodiscard]] std::unordered_set<std::uint64_t> indices_of(
      const std::vector<Ipv6Prefix>& prefixes) const;
  [[nodiscard]] bool is_withheld(std::uint64_t index) const {
    return own_.contains(index) || fixed_.contains(index);
  }
  void put_back(std::uint64_t index);

  std::uint8_t length_;
  std::vector<Range> ranges_;
  std::uint64_t size_ = 0;
  std::uint64_t never_used_ = 0;               // from here on
  std::deque<std::uint64_t> released_;         // each once; some may have been claimed since
  std::unordered_set<std::uint64_t> waiting_;  // what is in released_
  std::unordered_set<std::uint64_t> taken_;
  std::unordered_set<std::uint64_t> own_;
  std::unordered_set<std::uint64_t> fixed_;
};

}  // namespace pns::pools
