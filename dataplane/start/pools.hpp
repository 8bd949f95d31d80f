// SPDX-License-Identifier: BSD-3-Clause
//
// Memory that the process takes from DPDK at its start: packet buffers and rings. Main thread,
// after EAL has started. Nothing is given back: all of it ends with the process.
#pragma once

#include <rte_mempool.h>
#include <rte_ring.h>

#include <expected>
#include <string>

namespace pns::dataplane {

// A pool of buffers with PacketContext's private area, for any number of threads. `gapless`: the
// buffers lie end to end, also across the border of two pages (decision 0004). Error: one line.
[[nodiscard]] std::expected<rte_mempool*, std::string> make_packet_pool(const char* name,
                                                                        unsigned buffers,
                                                                        bool gapless);

// A ring for one producer and one consumer. `size`: entries, a power of two; it holds one less.
[[nodiscard]] std::expected<rte_ring*, std::string> make_ring(const std::string& name,
                                                              unsigned size);

}  // namespace pns::dataplane
