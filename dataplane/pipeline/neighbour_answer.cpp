// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/neighbour_answer.hpp"

#include "pns/wire/arp.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/icmpv6.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/router_advertisement.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;

// The answer lies behind the Ethernet header; that one is written here.
void send_answer(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                 const MacAddress& to, std::uint16_t type, std::size_t length) noexcept {
  wire::write_ethernet(octets_of(packet),
                       {to, stage.port(PortRole::kCore).mac, be16::from_host(type)});
  narrow(packet, 0, wire::kEthernetHeaderSize + length);
  stage.counters.neighbour_answers.add(1);
  context.port = PortRole::kCore;
  context.lane = Lane::kTransmit;
}

bool may_answer(StageContext& stage, PacketContext& context) noexcept {
  if (stage.neighbour_answers.admit_one(stage.now_ns)) return true;
  stage.counters.punt_classes[static_cast<std::size_t>(PuntClass::neighbour)].policed.add(1);
  drop(context, DropReason::punt_policed);
  return false;
}

bool answer_arp(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                MutableBytes message) noexcept {
  const auto request = wire::parse_arp_request(message);
  if (!request || !stage.sessions.find_by_address(request->target)) return false;
  if (!may_answer(stage, context)) return true;
  wire::write_arp_reply(message, *request, stage.port(PortRole::kCore).mac);
  send_answer(stage, packet, context, request->sender_mac, wire::kEtherTypeArp, wire::kArpSize);
  return true;
}

bool answer_solicitation(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                         const wire::EthernetHeader& ethernet, MutableBytes message) noexcept {
  const auto header = wire::parse_ipv6(message);
  if (!header || header->next_header != wire::kIpProtocolIcmpv6) return false;
  const auto target = wire::neighbor_solicitation_target(message, *header);
  if (!target || !stage.sessions.find_by_prefix(target->high)) return false;
  if (!may_answer(stage, context)) return true;
  // A frame is longer than its packet, or there is room behind it.
  const std::size_t length = wire::kProxyAdvertisementSize;
  if (message.size() < length &&
      rte_pktmbuf_append(packet, static_cast<std::uint16_t>(length - message.size())) == nullptr) {
    drop(context, DropReason::no_buffer);
    return true;
  }
  const MutableBytes room = octets_of(packet).subspan(wire::kEthernetHeaderSize);
  // Duplicate address detection has no sender: all hear the answer (RFC 4861 §7.2.4).
  const bool to_all = header->source.is_unspecified();
  const Ipv6Address destination = to_all ? wire::kAllNodes : header->source;
  const MacAddress to = to_all ? wire::group_mac(destination) : ethernet.source;
  wire::write_proxy_advertisement(room, *target, destination, stage.port(PortRole::kCore).mac);
  send_answer(stage, packet, context, to, wire::kEtherTypeIpv6, length);
  return true;
}

}  // namespace

bool answer_neighbour(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const MutableBytes frame = octets_of(packet);
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return false;
  const MutableBytes message = frame.subspan(wire::kEthernetHeaderSize);
  if (ethernet->type.host() == wire::kEtherTypeArp)
    return answer_arp(stage, packet, context, message);
  return ethernet->type.host() == wire::kEtherTypeIpv6 &&
         answer_solicitation(stage, packet, context, *ethernet, message);
}

}  // namespace pns::dataplane
