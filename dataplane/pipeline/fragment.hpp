// SPDX-License-Identifier: BSD-3-Clause
//
// Cuts an IPv4 packet into fragments (RFC 791 §3.2). Used for inner packets that exceed a session's
// MTU without forbidding it, and for outer packets that exceed the port's.
#pragma once

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstdint>
#include <span>

#include "pns/wire/ipv4.hpp"

namespace pns::dataplane {

// Most fragments one packet may become.
inline constexpr std::size_t kMaxFragments = 8;

// Makes new mbufs from `pool`, each one IPv4 packet of at most `mtu` octets; the contexts are
// copies of the original's. `packet` (single segment, data at the header that `header` was parsed
// from) is only read and stays the caller's. Result: how many of `out` are filled; 0: no buffers,
// more than `out` holds, or an MTU with no room for data; then nothing is left allocated.
[[nodiscard]] std::size_t fragment_ipv4(rte_mbuf* packet, const wire::Ipv4Header& header,
                                        std::uint16_t mtu, rte_mempool* pool,
                                        std::span<rte_mbuf*> out) noexcept;

}  // namespace pns::dataplane
