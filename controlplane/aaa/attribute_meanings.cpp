// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/attribute_meanings.hpp"

#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>

#include "pns/base/be.hpp"
#include "pns/radius/values.hpp"

namespace pns::aaa {
namespace {

std::optional<std::uint64_t> read_digits(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || error != std::errc{} || stopped != end) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> read_integer(Bytes value) noexcept {
  if (value.size() == sizeof(std::uint32_t)) return load_be<std::uint32_t>(value.data());
  if (value.size() == sizeof(std::uint64_t)) return load_be<std::uint64_t>(value.data());
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> read_quantity(const config::RadiusAttribute& attribute,
                                           Bytes value) noexcept {
  const auto number = attribute.is_text ? read_digits(radius::as_text(value)) : read_integer(value);
  const std::uint64_t unit = attribute.multiplier();
  if (!number || *number > std::numeric_limits<std::uint64_t>::max() / unit) return std::nullopt;
  return *number * unit;
}

}  // namespace pns::aaa
