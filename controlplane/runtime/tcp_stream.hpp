// SPDX-License-Identifier: BSD-3-Clause
//
// Facts of a TCP stream that the kernel knows and glibc's tcp_info does not show. Any thread.
#pragma once

#include <cstdint>
#include <optional>

namespace pns::control {

// Octets of the stream that have been read from this socket since it was made, by whichever
// process. Empty when it cannot be told.
[[nodiscard]] std::optional<std::uint64_t> octets_consumed(int fd) noexcept;

}  // namespace pns::control
