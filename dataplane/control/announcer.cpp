// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/control/announcer.hpp"

#include "pns/wire/arp.hpp"
#include "pns/wire/ethernet.hpp"

namespace pns::dataplane {

std::size_t write_announcement(MutableBytes out, Ipv4Address address,
                               const MacAddress& mac) noexcept {
  constexpr MacAddress kAll = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
  constexpr std::size_t kSize = wire::kEthernetHeaderSize + wire::kArpSize;
  if (out.size() < kSize) return 0;
  wire::write_ethernet(out, {kAll, mac, be16::from_host(wire::kEtherTypeArp)});
  wire::write_arp_announcement(out.subspan(wire::kEthernetHeaderSize), address, mac);
  return kSize;
}

}  // namespace pns::dataplane
