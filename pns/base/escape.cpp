// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/escape.hpp"

#include "pns/base/utf8.hpp"

namespace pns {
namespace {

constexpr char kHex[] = "0123456789abcdef";

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
    const std::string_view before = text;
    const auto code = take_utf8(text);
    if (!code) {
      out += style == EscapeStyle::kJson ? "\\\\x" : "\\x";
      append_hex(out, static_cast<std::uint8_t>(text[0]), 2);
      text.remove_prefix(1);
    } else if (!is_harmless(*code)) {
      out += "\\u";
      append_hex(out, *code, 4);
    } else {
      if (style != EscapeStyle::kPlain && (*code == '"' || *code == '\\')) out += '\\';
      out += before.substr(0, before.size() - text.size());
    }
  }
}

}  // namespace pns
