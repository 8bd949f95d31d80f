// SPDX-License-Identifier: BSD-3-Clause
//
// Text of unknown origin for a log, a terminal or JSON: valid UTF-8 stays as it is. Escaped are
// octets that are no UTF-8, control characters (C0, DEL, C1), line and paragraph separators, and
// characters that change the direction of writing, which can make a line look like another one.
// Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pns {

enum class EscapeStyle : std::uint8_t {
  kPlain,   // \u009b, \xff
  kQuoted,  // and \" \\, for a text between quotation marks
  kJson,    // as kQuoted, with \\xff: JSON has no such escape
};

void append_escaped(std::string& out, std::string_view text, EscapeStyle style);

[[nodiscard]] inline std::string escaped(std::string_view text) {
  std::string out;
  append_escaped(out, text, EscapeStyle::kPlain);
  return out;
}

}  // namespace pns
