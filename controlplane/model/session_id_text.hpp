// SPDX-License-Identifier: BSD-3-Clause
//
// The text of a session's id, as the API, the log and Acct-Session-Id (RFC 2866 §5.5) have it: 16
// hexadecimal digits. Pure functions, any thread.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "pns/base/ids.hpp"

namespace pns::model {

inline constexpr std::size_t kSessionIdDigits = 16;

[[nodiscard]] inline std::string to_text(SessionId id) {
  std::string text(kSessionIdDigits, '0');
  std::uint64_t rest = id.value;
  for (auto digit = text.rbegin(); rest != 0; ++digit, rest >>= 4)
    *digit = "0123456789abcdef"[rest & 0xf];
  return text;
}

// Empty: not 16 hexadecimal digits, or 0.
[[nodiscard]] inline std::optional<SessionId> parse_session_id(std::string_view text) noexcept {
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value, 16);
  if (text.size() != kSessionIdDigits || error != std::errc{} || stopped != end || value == 0)
    return std::nullopt;
  return SessionId(value);
}

}  // namespace pns::model
