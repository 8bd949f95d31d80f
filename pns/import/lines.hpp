// SPDX-License-Identifier: BSD-3-Clause
//
// Lines of the configuration files of other servers. Private to pns/import.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pns::import {

struct Line {
  std::size_t number = 0;  // from 1
  std::string text;        // without comment and blanks around it; never empty
};

// `comment`: the character that begins one, at the start of a line or after a blank.
[[nodiscard]] std::vector<Line> lines_of(std::string_view text, char comment = '#');

[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;
// Parts between `separator`, trimmed; empty ones too.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
// Words as pppd(8) has them: quotes and backslashes keep blanks.
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

// "192.0.2.10-20" as "192.0.2.10-192.0.2.20", and "192.0.2.0/24" as the range of its hosts.
// Anything else as it is.
[[nodiscard]] std::string whole_range(std::string_view range);

}  // namespace pns::import
