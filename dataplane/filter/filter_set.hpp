// SPDX-License-Identifier: BSD-3-Clause
//
// FilterSet: the filters of all sessions as two classifiers of rte_acl, one for each family. The
// number of the filter is the first field of the key, so that packets of many sessions go through
// one call. Made at start by main; afterwards read by all workers.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "pns/base/be.hpp"
#include "pns/config/config.hpp"

struct rte_acl_ctx;

namespace pns::dataplane {

// The fields of a packet that rules look at, in network order. `ports` is 0 where there are none.
struct Ipv4FilterKey {
  std::uint8_t filter = 0;
  std::array<std::uint8_t, 3> padding{};
  std::array<std::byte, 8> addresses{};  // source, destination
  std::array<std::byte, 4> ports{};      // source, destination
  std::uint8_t protocol = 0;
  std::uint8_t later_fragment = 0;  // 1: the header of the upper layer is in another packet
  std::array<std::uint8_t, 2> padding2{};
};
static_assert(sizeof(Ipv4FilterKey) == 20);

struct Ipv6FilterKey {
  std::uint8_t filter = 0;
  std::array<std::uint8_t, 3> padding{};
  std::array<std::byte, 32> addresses{};
  std::array<std::byte, 4> ports{};
  std::uint8_t protocol = 0;
  std::uint8_t later_fragment = 0;
  std::array<std::uint8_t, 2> padding2{};
};
static_assert(sizeof(Ipv6FilterKey) == 44);

class FilterSet {
 public:
  // As many packets as one call takes.
  static constexpr std::size_t kBatch = 32;

  struct Numbered {
    std::uint8_t number = 0;
    const config::Filter* rules = nullptr;
  };
  // A number that is not in the list permits nothing. Error: text of what failed.
  [[nodiscard]] static std::expected<std::unique_ptr<FilterSet>, std::string> create(
      std::span<const Numbered> filters);
  FilterSet(const FilterSet&) = delete;
  FilterSet& operator=(const FilterSet&) = delete;
  ~FilterSet();

  // Bit n: key n is permitted. At most kBatch keys.
  [[nodiscard]] std::uint32_t permitted(std::span<const Ipv4FilterKey> keys) const noexcept;
  [[nodiscard]] std::uint32_t permitted(std::span<const Ipv6FilterKey> keys) const noexcept;

 private:
  FilterSet() = default;

  rte_acl_ctx* ipv4_ = nullptr;  // null: no rule is about this family
  rte_acl_ctx* ipv6_ = nullptr;
};

}  // namespace pns::dataplane
