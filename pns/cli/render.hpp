// SPDX-License-Identifier: BSD-3-Clause
//
// The server's JSON as text for people: lists of objects as aligned tables, an object as aligned
// lines. Knows no endpoint: whatever fields come are printed; names ending in _s are durations and
// in _bytes are sizes. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>

namespace pns::cli {

// `columns`: which fields of a list of objects to show, in this order (absent ones are left out);
// empty: every field, in the order the server gave. Error: the text is no JSON.
[[nodiscard]] std::expected<std::string, std::string> render(
    const std::string& json, std::span<const std::string_view> columns);

// A list of objects as aligned lines of each, with an empty line between two; anything else as
// render() without columns.
[[nodiscard]] std::expected<std::string, std::string> render_records(const std::string& json);

// JSON as the server gave it, indented, without characters that a terminal obeys.
[[nodiscard]] std::expected<std::string, std::string> indent(const std::string& json);

// The "error" of an error answer, or the whole text when there is none.
[[nodiscard]] std::string error_text(const std::string& json);

// "2d3h", "3h12m", "5m7s", "42s": the two largest units.
[[nodiscard]] std::string human_duration(std::uint64_t seconds);
// "999 B", "1.5 KiB", "20 MiB".
[[nodiscard]] std::string human_bytes(std::uint64_t bytes);

}  // namespace pns::cli
