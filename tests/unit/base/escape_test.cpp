// SPDX-License-Identifier: BSD-3-Clause
#include "pns/base/escape.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <utility>

using namespace pns;

namespace {

std::string in(EscapeStyle style, std::string_view text) {
  std::string out;
  append_escaped(out, text, style);
  return out;
}

}  // namespace

TEST_CASE("escape: valid UTF-8 stays as it is", "[base]") {
  // The first and last characters of each length, and names in several scripts.
  for (const char* text : {"", "alice", "a b~", "Müller", "Łódź", "Иван", "山田", "\xc2\xa0",
                           "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    for (const EscapeStyle style : {EscapeStyle::kPlain, EscapeStyle::kQuoted, EscapeStyle::kJson})
      CHECK(in(style, text) == text);
}

TEST_CASE("escape: octets that are no UTF-8 show their value", "[base]") {
  const std::pair<const char*, const char*> cases[] = {
      {"M\xfcller", R"(M\xfcller)"},  // Latin-1
      {"\x80", R"(\x80)"},            // continuation alone
      {"\xc3", R"(\xc3)"},            // the rest is missing
      {"\xe2\x82", R"(\xe2\x82)"},
      {"\xf0\x9f\x98", R"(\xf0\x9f\x98)"},
      {"\xc3(", R"(\xc3()"},
      {"\xc0\xaf", R"(\xc0\xaf)"},  // longer than need be
      {"\xc1\xbf", R"(\xc1\xbf)"},
      {"\xe0\x9f\xbf", R"(\xe0\x9f\xbf)"},
      {"\xf0\x8f\xbf\xbf", R"(\xf0\x8f\xbf\xbf)"},
      {"\xed\xa0\x80", R"(\xed\xa0\x80)"},          // surrogate
      {"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},  // above U+10FFFF
      {"\xf5\xff", R"(\xf5\xff)"},
      {"\xff\xc3\xbc", "\\xff\xc3\xbc"},  // and goes on behind them
  };
  for (const auto& [text, wanted] : cases) {
    CHECK(escaped(text) == wanted);
    CHECK(in(EscapeStyle::kQuoted, text) == wanted);
  }
  CHECK(in(EscapeStyle::kJson, "\xff") == R"(\\xff)");
}

TEST_CASE("escape: no control character of any kind passes", "[base]") {
  for (int code = 0; code < 0xa0; ++code) {
    if (code >= 0x20 && code < 0x7f) continue;
    const std::string text = code < 0x80
                                 ? std::string(1, static_cast<char>(code))
                                 : std::string{static_cast<char>(0xc2), static_cast<char>(code)};
    const char* hex = "0123456789abcdef";
    CHECK(escaped(text) == std::string("\\u00") + hex[code >> 4] + hex[code & 0xf]);
  }
  CHECK(escaped("a\xe2\x80\xa8"
                "b") == R"(a\u2028b)");  // line separator
  CHECK(escaped("a\xe2\x80\xae"
                "b") == R"(a\u202eb)");  // right-to-left override
  CHECK(escaped("a\xe2\x81\xa6"
                "b") == R"(a\u2066b)");
  CHECK(escaped("\xd8\x9c") == R"(\u061c)");
}

TEST_CASE("escape: quotation marks and backslashes are escaped between quotation marks alone",
          "[base]") {
  CHECK(escaped(R"(CORP\bob "x")") == R"(CORP\bob "x")");
  CHECK(in(EscapeStyle::kQuoted, R"(CORP\bob "x")") == R"(CORP\\bob \"x\")");
  CHECK(in(EscapeStyle::kJson, R"(CORP\bob "x")") == R"(CORP\\bob \"x\")");
}
