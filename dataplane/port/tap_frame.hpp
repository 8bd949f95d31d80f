// SPDX-License-Identifier: BSD-3-Clause
//
// One frame from or to a TAP: one read(2) or writev(2) each, no packet information header. Any
// thread; a descriptor's user is its own.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

namespace pns::dataplane {

// Segments of a chain that write_frame() takes.
inline constexpr unsigned kMaxTapSegments = 16;

// Null: no frame waits, or no buffer is free. The caller owns the packet.
[[nodiscard]] rte_mbuf* read_frame(int fd, rte_mempool* pool) noexcept;

// The whole frame or nothing. False: the kernel did not take it, or it has more segments. The
// packet stays the caller's.
[[nodiscard]] bool write_frame(int fd, const rte_mbuf* packet) noexcept;

}  // namespace pns::dataplane
