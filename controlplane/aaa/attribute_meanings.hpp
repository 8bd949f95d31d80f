// SPDX-License-Identifier: BSD-3-Clause
//
// AttributeMeanings: the attributes of vendors that this server does not know, and their meaning as
// the configuration gives it (aaa.radius.attributes). Plain values, any thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "pns/base/bytes.hpp"
#include "pns/config/config.hpp"
#include "pns/radius/attributes.hpp"

namespace pns::aaa {

class AttributeMeanings {
 public:
  AttributeMeanings() = default;
  explicit AttributeMeanings(const std::vector<config::RadiusAttribute>& attributes) {
    for (const config::RadiusAttribute& attribute : attributes)
      by_id_.emplace(radius::AttributeId{attribute.vendor, attribute.type}, attribute);
  }
  // Null: the configuration says nothing of it.
  [[nodiscard]] const config::RadiusAttribute* find(radius::AttributeId id) const noexcept {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &found->second;
  }

 private:
  std::map<radius::AttributeId, config::RadiusAttribute> by_id_;
};

// The number in this value, in bit/s, octets, seconds, or as it is. A number is an integer of 4 or
// 8 octets, or decimal digits where the attribute is a text. Empty: it is none, or is too large.
[[nodiscard]] std::optional<std::uint64_t> read_quantity(const config::RadiusAttribute& attribute,
                                                         Bytes value) noexcept;

}  // namespace pns::aaa
