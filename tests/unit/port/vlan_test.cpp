// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/vlan.hpp"

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

using namespace pns::dataplane;

namespace {

using Frame = std::vector<std::uint8_t>;

rte_mempool* pool() {
  static rte_mempool* made = rte_pktmbuf_pool_create("vlan-test", 63, 0, 0, 2176, SOCKET_ID_ANY);
  return made;
}

// An mbuf with these octets, freed at the end.
struct Packet {
  explicit Packet(const Frame& frame) : mbuf(rte_pktmbuf_alloc(pool())) {
    REQUIRE(mbuf != nullptr);
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size())), frame.data(),
                frame.size());
  }
  ~Packet() { rte_pktmbuf_free(mbuf); }
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;
  [[nodiscard]] Frame octets() const {
    const auto* const from = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
    return {from, from + mbuf->data_len};
  }
  rte_mbuf* mbuf;
};

// Addresses, then `middle`, then IPv4 with three octets.
Frame frame(const Frame& middle) {
  Frame all(12 + middle.size() + 5);
  for (std::uint8_t n = 0; n < 12; ++n) all[n] = n;
  std::ranges::copy(middle, all.begin() + 12);
  std::ranges::copy(std::array<std::uint8_t, 5>{0x08, 0x00, 0xaa, 0xbb, 0xcc}, all.end() - 5);
  return all;
}

}  // namespace

TEST_CASE("vlan: tags of a frame, whatever says that they are tags", "[dataplane][vlan]") {
  struct Row {
    Frame middle;
    std::vector<std::uint16_t> ids;
  };
  const Row rows[] = {
      {{}, {}},
      {{0x81, 0x00, 0x00, 0x0a}, {10}},
      {{0x81, 0x00, 0xef, 0xfe}, {4094}},  // with priority 7
      {{0x81, 0x00, 0xe0, 0x00}, {}},      // a priority and no VLAN
      {{0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a}, {100, 10}},
      {{0x91, 0x00, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a}, {100, 10}},
      {{0x81, 0x00, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a}, {100, 10}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.middle);
    const Packet packet(frame(row.middle));
    const FrameTags tags = read_tags(packet.mbuf);
    CHECK(tags.are(VlanTags::of(row.ids)));
    CHECK(tags.octets == row.middle.size());
    CHECK_FALSE(tags.are(VlanTags::of({11})));
    CHECK_FALSE(tags.are(VlanTags::of({10, 100})));
    strip_tags(packet.mbuf, tags);
    CHECK(packet.octets() == frame({}));
  }
  // Three are nobody's, and a frame that ends in a tag has none of it read.
  const Packet three(frame({0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3}));
  CHECK_FALSE(read_tags(three.mbuf).are(VlanTags::of({1, 2})));
  const Packet cut({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x81, 0x00, 0x00});
  CHECK(read_tags(cut.mbuf).octets == 0);
}

TEST_CASE("vlan: a tag that the device has taken off is the outermost", "[dataplane][vlan]") {
  const Packet packet(frame({0x81, 0x00, 0x00, 0x0a}));
  packet.mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
  packet.mbuf->vlan_tci = 0x6064;  // priority 3, VLAN 100
  const FrameTags tags = read_tags(packet.mbuf);
  CHECK(tags.are(VlanTags::of({100, 10})));
  CHECK(tags.octets == 4);
}

TEST_CASE("vlan: a frame leaves with the tags of its port", "[dataplane][vlan]") {
  const Packet one(frame({}));
  REQUIRE(insert_tags(one.mbuf, VlanTags::of({10})));
  CHECK(one.octets() == frame({0x81, 0x00, 0x00, 0x0a}));
  const Packet two(frame({}));
  REQUIRE(insert_tags(two.mbuf, VlanTags::of({100, 10})));
  CHECK(two.octets() == frame({0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a}));
  // A device that inserts gets the frame as it is.
  VlanTags by_device = VlanTags::of({10});
  by_device.device_inserts = true;
  const Packet offloaded(frame({}));
  REQUIRE(insert_tags(offloaded.mbuf, by_device));
  CHECK(offloaded.octets() == frame({}));
  CHECK((offloaded.mbuf->ol_flags & RTE_MBUF_F_TX_VLAN) != 0);
  CHECK(offloaded.mbuf->vlan_tci == 10);
  // Without headroom nothing changes.
  const Packet tight(frame({}));
  REQUIRE(rte_pktmbuf_prepend(tight.mbuf, rte_pktmbuf_headroom(tight.mbuf)) != nullptr);
  const Frame before = tight.octets();
  CHECK_FALSE(insert_tags(tight.mbuf, VlanTags::of({10})));
  CHECK(tight.octets() == before);
  CHECK(VlanTags::of({100, 10}).to_string() == "100.10");
}
