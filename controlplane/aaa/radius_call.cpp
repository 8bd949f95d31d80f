// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_call.hpp"

#include <fmt/format.h>

#include "controlplane/model/session_id_text.hpp"
#include "pns/radius/numbers.hpp"

namespace pns::aaa {

namespace attribute = radius::attribute;

namespace {

constexpr std::uint8_t kNoTag = 0;

}  // namespace

void add_nas(radius::PacketBuilder& packet, const RadiusNas& nas) {
  packet.add_text(attribute::kNasIdentifier, nas.identifier);
  if (nas.ipv4) packet.add_ipv4(attribute::kNasIpAddress, *nas.ipv4);
  if (nas.ipv6) packet.add_ipv6(attribute::kNasIpv6Address, *nas.ipv6);
}

void add_call(radius::PacketBuilder& packet, const RadiusCall& call) {
  packet.add_u32(attribute::kServiceType, number(radius::ServiceType::kFramed));
  packet.add_u32(attribute::kFramedProtocol, number(radius::FramedProtocol::kPpp));
  packet.add_u32(attribute::kNasPort, call.slot.value);
  packet.add_u32(attribute::kNasPortType, number(radius::NasPortType::kVirtual));
  const std::string peer = call.peer.to_string();
  packet.add_text(attribute::kNasPortId, fmt::format("pptp:{}:{}", peer, call.peer_call_id.value));
  packet.add_text(attribute::kCallingStationId, peer);
  const std::string local = call.local.to_string();
  packet.add_text(attribute::kCalledStationId, local);
  if (call.session.value != 0)
    packet.add_text(attribute::kAcctSessionId, model::to_text(call.session));
  packet.add_tagged_u24(attribute::kTunnelType, kNoTag, number(radius::TunnelType::kPptp));
  packet.add_tagged_u24(attribute::kTunnelMediumType, kNoTag,
                        number(radius::TunnelMediumType::kIpv4));
  packet.add_tagged_text(attribute::kTunnelClientEndpoint, kNoTag, peer);
  packet.add_tagged_text(attribute::kTunnelServerEndpoint, kNoTag, local);
}

}  // namespace pns::aaa
