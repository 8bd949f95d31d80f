// SPDX-License-Identifier: BSD-3-Clause
//
// VLAN tags of a port (IEEE 802.1Q; two: 802.1ad). The stages know untagged frames only: a worker
// takes the tags off when a frame arrives, and puts them on when one leaves. A device that does so
// itself leaves or finds a single tag in the mbuf. Plain functions; the caller owns the mbuf.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pns::dataplane {

struct VlanTags {
  std::array<std::uint16_t, 2> ids{};  // VLAN identifiers, the outermost first; 0: none
  std::uint8_t count = 0;
  bool device_inserts = false;  // one tag, by RTE_MBUF_F_TX_VLAN

  [[nodiscard]] std::string to_string() const;  // "10", or "100.10"
  [[nodiscard]] static VlanTags of(const std::vector<std::uint16_t>& ids) noexcept;
};

// Tags of a received frame.
struct FrameTags {
  std::array<std::uint16_t, 2> ids{};
  std::uint8_t count = 0;   // identifiers but 0, which is a mere priority; 3: more than two
  std::uint8_t octets = 0;  // of all tags that are still in the frame

  [[nodiscard]] bool are(const VlanTags& wanted) const noexcept {
    return count == wanted.count && ids == wanted.ids;
  }
};
[[nodiscard]] FrameTags read_tags(const rte_mbuf* packet) noexcept;

// Takes the tags off a frame that read_tags() has read.
void strip_tags(rte_mbuf* packet, const FrameTags& tags) noexcept;

// Puts a port's tags on an untagged frame. False: there is no headroom; the frame is as it was.
[[nodiscard]] bool insert_tags(rte_mbuf* packet, const VlanTags& tags) noexcept;

}  // namespace pns::dataplane
