// SPDX-License-Identifier: BSD-3-Clause
//
// Words and numbers of the texts that some attributes hold. Pure values, any thread, no allocation.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace pns::radius {

// Hands out the words of a text, which spaces and tabs part.
class Words {
 public:
  explicit constexpr Words(std::string_view text) noexcept : rest_(text) {}

  // Empty at the end.
  constexpr std::string_view next() noexcept {
    const std::size_t from = rest_.find_first_not_of(kSpace);
    if (from == rest_.npos) {
      rest_ = {};
      return {};
    }
    rest_.remove_prefix(from);
    const std::string_view word = rest_.substr(0, rest_.find_first_of(kSpace));
    rest_.remove_prefix(word.size());
    return word;
  }

 private:
  static constexpr std::string_view kSpace = " \t";
  std::string_view rest_;
};

// A number in decimal digits and nothing else, at most `maximum`.
[[nodiscard]] inline std::optional<std::uint64_t> parse_number(
    std::string_view text,
    std::uint64_t maximum = std::numeric_limits<std::uint64_t>::max()) noexcept {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || at != end || value > maximum) return std::nullopt;
  return value;
}

}  // namespace pns::radius
