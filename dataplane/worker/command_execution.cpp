// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/worker/command_execution.hpp"

#include "dataplane/pipeline/classify.hpp"
#include "dataplane/session/session_commands.hpp"
#include "dataplane/worker/worker_command.hpp"
#include "dataplane/worker/worker_config.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/ipv4.hpp"
#include "pns/wire/ipv6.hpp"
#include "pns/wire/ppp.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::dataplane {
namespace {

using contract::PortRole;
using contract::SessionRecord;

// Whether a frame that the kernel sends out of the access port belongs into a tunnel: an answer of
// this host to a subscriber, whose way the kernel does not know. It comes from an address that
// subscribers reach. TCP 1723 and GRE are of the outer network.
bool answers_subscriber(const StageContext& stage, Bytes frame) noexcept {
  const auto header = wire::parse_ethernet(frame);
  if (!header) return false;
  const NextHops& inner = stage.routing.inner;
  const auto is_ours = [&](const auto& source) {
    return inner.get(inner.lookup(source)).kind == NextHopKind::kLocal;
  };
  const Bytes packet = frame.subspan(wire::kEthernetHeaderSize);
  if (header->type.host() == wire::kEtherTypeIpv6) {
    const auto ip = wire::parse_ipv6(packet);
    return ip && is_ours(ip->source);
  }
  const auto ip = wire::parse_ipv4(packet);
  if (header->type.host() != wire::kEtherTypeIpv4 || !ip || ip->protocol == wire::kIpProtocolGre)
    return false;
  const bool from_listener =
      ip->protocol == wire::kIpProtocolTcp && !ip->is_fragment() &&
      packet.size() >= ip->header_length + sizeof(std::uint16_t) &&
      load_be<std::uint16_t>(packet.data() + ip->header_length) == wire::pptp::kTcpPort;
  return !from_listener && is_ours(ip->source);
}

void change(StageContext& stage, SessionRecord& session, const WorkerCommand& command) noexcept {
  switch (command.type) {
    case WorkerCommandType::kConfigureLink:
      configure_link(session, command.body.configure_link);
      break;
    case WorkerCommandType::kArmMppe:
      stage.gaps.on_new_keys(session.upstream);
      arm_mppe(session, command.body.arm_mppe);
      break;
    case WorkerCommandType::kDisarmMppe:
      stage.gaps.on_new_keys(session.upstream);
      disarm_mppe(session);
      break;
    case WorkerCommandType::kOpenIpv4:
      open_ipv4(session, command.body.open_ipv4);
      break;
    case WorkerCommandType::kCloseIpv4:
      close_ipv4(session);
      break;
    case WorkerCommandType::kOpenIpv6:
      open_ipv6(session, command.body.open_ipv6);
      break;
    case WorkerCommandType::kCloseIpv6:
      close_ipv6(session);
      break;
    case WorkerCommandType::kSetNetworks:
      set_networks(session, command.body.set_networks);
      break;
    case WorkerCommandType::kSetService:
      set_service(session, command.body.set_service);
      break;
    case WorkerCommandType::kInjectFrame:
    case WorkerCommandType::kSendFrame:
    default:
      break;
  }
}

void inject(StageContext& stage, rte_mbuf* packet, SlotId slot, std::uint32_t generation,
            Burst& frames) noexcept {
  stage.counters.injected.add(1);
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  context.flags = kPacketInjected | kPacketTtlDone | kPacketNoIcmp;
  (void)frames.append(packet);
  if (!stage.sessions.is_current(slot, generation)) return drop(context, DropReason::no_session);
  SessionRecord& session = *stage.sessions.record(slot);
  attach(context, slot, session);
  const auto header = wire::parse_ppp(octets_of(packet));
  if (!header) return drop_downstream(context, header.error());
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(header->size()));
  context.ppp_protocol = header->protocol;
  // Network data is encrypted where the session encrypts; control protocols never are.
  const bool network =
      header->protocol >= mppe::kFirstProtocol && header->protocol <= mppe::kLastProtocol;
  context.lane = network ? Lane::kSeal : Lane::kPppOut;
}

}  // namespace

void execute(StageContext& stage, rte_mbuf* packet, Burst& frames) noexcept {
  const WorkerCommand command = command_of(packet);
  if (command.type == WorkerCommandType::kSendFrame)
    return send_frame(stage, packet, command.port, frames);
  if (command.type == WorkerCommandType::kInjectFrame)
    return inject(stage, packet, command.slot, command.generation, frames);
  if (stage.sessions.is_current(command.slot, command.generation))
    change(stage, *stage.sessions.record(command.slot), command);
  if (command.type == WorkerCommandType::kArmMppe) {
    wipe_command(packet);
    wipe({reinterpret_cast<std::byte*>(const_cast<WorkerCommand*>(&command)), sizeof(command)});
  }
  rte_pktmbuf_free(packet);
}

void send_frame(StageContext& stage, rte_mbuf* packet, PortRole port, Burst& frames) noexcept {
  stage.counters.injected.add(1);
  PacketContext& context = context_of(packet);
  context = PacketContext{};
  context.port = port_index(port) < contract::kPorts ? port : PortRole::kAccess;
  context.lane = Lane::kTransmit;
  (void)frames.append(packet);
  // An outer address may be a subscriber's inner one too, and is not his for that.
  if (context.port == PortRole::kAccess && !answers_subscriber(stage, octets_of(packet))) return;
  if (const ForSubscriber found =
          subscriber_of(stage.sessions, stage.routing.inner, octets_of(packet));
      found) {
    rte_pktmbuf_adj(packet, wire::kEthernetHeaderSize);
    attach(context, found.session.slot, *found.session.session);
    context.lane = found.lane;
  }
}

}  // namespace pns::dataplane
