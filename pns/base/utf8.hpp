// SPDX-License-Identifier: BSD-3-Clause
//
// UTF-8 (RFC 3629): one character at a time, strictly. Overlong forms, surrogates, numbers above
// U+10FFFF and cut sequences are refused. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace pns {

// The character at the front of `text`, which is taken off. Empty: none that is well formed; `text`
// stays as it is.
[[nodiscard]] constexpr std::optional<char32_t> take_utf8(std::string_view& text) noexcept {
  if (text.empty()) return std::nullopt;
  const auto lead = static_cast<std::uint8_t>(text[0]);
  std::size_t length = 0;
  std::uint32_t code = 0;
  std::uint32_t smallest = 0;
  if (lead < 0x80) {
    length = 1, code = lead, smallest = 0;
  } else if ((lead & 0xe0) == 0xc0) {
    length = 2, code = lead & 0x1fu, smallest = 0x80;
  } else if ((lead & 0xf0) == 0xe0) {
    length = 3, code = lead & 0x0fu, smallest = 0x800;
  } else if ((lead & 0xf8) == 0xf0) {
    length = 4, code = lead & 0x07u, smallest = 0x10000;
  }
  if (length == 0 || length > text.size()) return std::nullopt;
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<std::uint8_t>(text[i]);
    if ((next & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (next & 0x3fu);
  }
  if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return std::nullopt;
  text.remove_prefix(length);
  return static_cast<char32_t>(code);
}

[[nodiscard]] constexpr bool is_utf8(std::string_view text) noexcept {
  while (!text.empty())
    if (!take_utf8(text)) return false;
  return true;
}

}  // namespace pns
