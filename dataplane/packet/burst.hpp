// SPDX-License-Identifier: BSD-3-Clause
//
// Burst: the packets that go through the stages together. Up to kReceive come from a queue; stages
// may append what they make (fragments). Index order is the order of sequence numbers and coherency
// counts. Lives on the worker's stack; owns its mbufs until finish() has carried out their fates.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/packet/packet_context.hpp"

namespace pns::dataplane {

struct Burst {
  static constexpr std::uint16_t kReceive = 32;
  static constexpr std::uint16_t kCapacity = 128;

  std::array<rte_mbuf*, kCapacity> packets;  // the first `count` are valid
  std::uint16_t count = 0;
  // A stage of IPv4 has passed over a packet that its IPv6 twin must handle. A burst without IPv6
  // pays one branch for each stage of IPv6, and no look at its packets.
  bool has_ipv6 = false;

  [[nodiscard]] std::span<rte_mbuf*> all() noexcept { return {packets.data(), count}; }
  [[nodiscard]] bool full() const noexcept { return count == kCapacity; }

  // Takes the mbuf; false when there is no room and the caller keeps it.
  [[nodiscard]] bool append(rte_mbuf* packet) noexcept {
    if (full()) return false;
    packets[count++] = packet;
    return true;
  }

  // The lanes that its packets are in, as lane_bit()s.
  [[nodiscard]] std::uint32_t lanes() const noexcept {
    std::uint32_t lanes = 0;
    for (std::uint16_t i = 0; i < count; ++i) lanes |= lane_bit(context_of(packets[i]).lane);
    return lanes;
  }

  // Closes the gaps that packets left behind (null pointers) when a stage kept them.
  void compact() noexcept {
    std::uint16_t kept = 0;
    for (std::uint16_t i = 0; i < count; ++i)
      if (packets[i] != nullptr) packets[kept++] = packets[i];
    count = kept;
  }
};

}  // namespace pns::dataplane
