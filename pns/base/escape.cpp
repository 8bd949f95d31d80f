// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/escape.hpp"

#include <cstddef>

namespace pns {
namespace {

constexpr char kHex[] = "0123456789abcdef";

struct Character {
  std::size_t octets = 0;  // 0: the text does not begin with one
  std::uint32_t code = 0;
};

// The first character of a text that is not empty (RFC 3629: shortest form, no surrogates).
Character first_of(std::string_view text) noexcept {
  const auto octet = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = octet(0);
  if (first < 0x80) return {1, first};
  const std::size_t length = first < 0xc2   ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return {};
  std::uint32_t code = first & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return {};
    code = code << 6 | (octet(i) & 0x3f);
  }
  const bool too_long = (length == 3 && code < 0x800) || (length == 4 && code < 0x1'0000);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  return too_long || surrogate || code > 0x10'ffff ? Character{} : Character{length, code};
}

bool is_harmless(std::uint32_t code) noexcept {
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool line_end = code == 0x2028 || code == 0x2029;
  const bool direction = code == 0x061c || code == 0x200e || code == 0x200f ||
                         (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return !control && !line_end && !direction;
}

void append_hex(std::string& out, std::uint32_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) out += kHex[value >> shift & 0xf];
}

}  // namespace

void append_escaped(std::string& out, std::string_view text, EscapeStyle style) {
  while (!text.empty()) {
    const Character character = first_of(text);
    if (character.octets == 0) {
      out += style == EscapeStyle::kJson ? "\\\\x" : "\\x";
      append_hex(out, static_cast<std::uint8_t>(text[0]), 2);
      text.remove_prefix(1);
      continue;
    }
    if (!is_harmless(character.code)) {
      out += "\\u";
      append_hex(out, character.code, 4);
    } else {
      if (style != EscapeStyle::kPlain && (character.code == '"' || character.code == '\\'))
        out += '\\';
      out += text.substr(0, character.octets);
    }
    text.remove_prefix(character.octets);
  }
}

}  // namespace pns
