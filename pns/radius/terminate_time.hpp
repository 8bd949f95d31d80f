// SPDX-License-Identifier: BSD-3-Clause
//
// The text of WISPr-Session-Terminate-Time: when a session ends, in ISO 8601. Pure functions, any
// thread, no allocation, no throw.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace pns::radius {

// "YYYY-MM-DDThh:mm:ss" and "Z", "+hh:mm" or "+hhmm" (or with "-"). A time without its zone is
// refused: it names no instant.
[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_terminate_time(
    std::string_view text) noexcept;

}  // namespace pns::radius
