// SPDX-License-Identifier: BSD-3-Clause
//
// Rings of packets, as bursts. Each has one producer and one consumer.
#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <cstdint>

#include "dataplane/packet/burst.hpp"

namespace pns::dataplane {

[[nodiscard]] inline void** as_objects(rte_mbuf** packets) noexcept {
  return reinterpret_cast<void**>(packets);
}

// Takes a burst out of a ring that may be null. False: there was nothing.
[[nodiscard]] inline bool dequeue(rte_ring* ring, Burst& burst) noexcept {
  if (ring == nullptr) return false;
  burst.count = static_cast<std::uint16_t>(
      rte_ring_sc_dequeue_burst(ring, as_objects(burst.packets.data()), Burst::kReceive, nullptr));
  return burst.count != 0;
}

[[nodiscard]] inline bool ring_waits(const rte_ring* ring) noexcept {
  return ring != nullptr && rte_ring_empty(ring) == 0;
}

}  // namespace pns::dataplane
