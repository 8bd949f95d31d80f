// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/dhcp_responder.hpp"

#include <algorithm>

#include "controlplane/ppp/frame.hpp"
#include "pns/wire/dhcp.hpp"

namespace pns::ppp {

const std::vector<Ipv4Prefix>& InformSettings::routes_of(Ipv4Address subscriber) const noexcept {
  const auto holds = [subscriber](const Ipv4Range& range) { return range.contains(subscriber); };
  for (const Pool& pool : pools)
    if (std::ranges::any_of(pool.ranges, holds)) return pool.routes;
  return outside_routes;
}

std::vector<std::byte> answer_dhcp_inform(Bytes packet, const model::NetworkParameters& network,
                                          const InformSettings& settings, std::uint16_t inner_mtu) {
  const auto inform = wire::parse_dhcp_inform(packet);
  if (!inform || inform->client != network.subscriber_address) return {};
  const wire::DhcpAck ack{.server = network.our_address,
                          .dns = network.dns,
                          .wins = network.wins,
                          .domain = settings.domain,
                          .routes = settings.routes_of(network.subscriber_address),
                          .mtu = inner_mtu};
  std::vector<std::byte> frame = make_frame(wire::PppProtocol::kIpv4, wire::kLongestDhcpAck);
  frame.resize(wire::kPppFrameHeaderLength +
               wire::write_dhcp_ack(information_of(frame), *inform, ack));
  return frame;
}

}  // namespace pns::ppp
