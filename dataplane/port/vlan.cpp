// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/vlan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "pns/base/be.hpp"
#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {
namespace {

constexpr std::size_t kAddresses = 12;  // octets of both MAC addresses
constexpr std::size_t kTag = 4;         // octets: TPID and TCI
constexpr unsigned kMostTags = 3;
constexpr std::uint16_t kIdentifier = 0x0fff;    // of a TCI
constexpr std::uint16_t kCustomer = 0x8100;      // TPID of 802.1Q
constexpr std::uint16_t kService = 0x88a8;       // of 802.1ad
constexpr std::uint16_t kServiceOfOld = 0x9100;  // of switches before 802.1ad

bool is_tag(std::uint16_t type) noexcept {
  return type == kCustomer || type == kService || type == kServiceOfOld;
}

void add(FrameTags& tags, std::uint16_t tci) noexcept {
  const std::uint16_t id = tci & kIdentifier;
  if (id == 0) return;
  if (tags.count < tags.ids.size()) tags.ids[tags.count] = id;
  tags.count = std::min<std::uint8_t>(tags.count + 1, kMostTags);
}

}  // namespace

VlanTags VlanTags::of(const std::vector<std::uint16_t>& ids) noexcept {
  VlanTags tags;
  for (const std::uint16_t id : ids)
    if (tags.count < tags.ids.size()) tags.ids[tags.count++] = id;
  return tags;
}

std::string VlanTags::to_string() const {
  std::string text;
  for (std::size_t n = 0; n < count; ++n) text += (n == 0 ? "" : ".") + std::to_string(ids[n]);
  return text;
}

FrameTags read_tags(const rte_mbuf* packet) noexcept {
  FrameTags tags;
  if ((packet->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) add(tags, packet->vlan_tci);
  const auto* const frame = rte_pktmbuf_mtod(packet, const std::byte*);
  std::size_t at = kAddresses;
  for (unsigned n = 0; n < kMostTags && at + kTag + 2 <= packet->data_len; ++n, at += kTag) {
    if (!is_tag(load_be<std::uint16_t>(frame + at))) break;
    add(tags, load_be<std::uint16_t>(frame + at + 2));
    tags.octets += kTag;
  }
  return tags;
}

void strip_tags(rte_mbuf* packet, const FrameTags& tags) noexcept {
  if (tags.octets == 0) return;
  auto* const frame = rte_pktmbuf_mtod(packet, std::byte*);
  std::memmove(frame + tags.octets, frame, kAddresses);
  rte_pktmbuf_adj(packet, tags.octets);
}

bool insert_tags(rte_mbuf* packet, const VlanTags& tags) noexcept {
  if (tags.device_inserts) {
    packet->ol_flags |= RTE_MBUF_F_TX_VLAN;
    packet->vlan_tci = tags.ids[0];
    return true;
  }
  const auto octets = static_cast<std::uint16_t>(tags.count * kTag);
  char* const room = rte_pktmbuf_prepend(packet, octets);
  if (room == nullptr) return false;
  auto* const frame = reinterpret_cast<std::byte*>(room);
  std::memmove(frame, frame + octets, kAddresses);
  for (std::size_t n = 0; n < tags.count; ++n) {
    std::byte* const tag = frame + kAddresses + n * kTag;
    store_be(tag, n + 1 < tags.count ? kService : kCustomer);
    store_be(tag + 2, tags.ids[n]);
  }
  return true;
}

}  // namespace pns::dataplane
