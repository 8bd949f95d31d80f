// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/attributes.hpp"

#include <algorithm>

namespace pns::radius {
namespace {

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

const AttributeInfo* find_attribute(AttributeId id) noexcept {
  const auto at = std::ranges::lower_bound(kAttributes, id, {}, &AttributeInfo::id);
  return at != kAttributes.end() && at->id == id ? &*at : nullptr;
}

const AttributeInfo* find_attribute(std::string_view name) noexcept {
  const auto at = std::ranges::find_if(kAttributes, [name](const AttributeInfo& info) {
    return std::ranges::equal(info.name, name, {}, lower, lower);
  });
  return at != kAttributes.end() ? &*at : nullptr;
}

}  // namespace pns::radius
