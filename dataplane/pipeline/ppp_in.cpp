// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ppp_in.hpp"

#include <algorithm>

#include "dataplane/pipeline/local_delivery.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;
using wire::PppProtocol;

// Above are protocols that carry no network data (RFC 1661 §2).
constexpr std::uint16_t kLastNetworkProtocol = 0x3fff;

// Below, peers mean something else; 0: LCP has not said yet.
constexpr std::uint16_t kMinMru = 64;

// Network data that was not encrypted.
void take_network_data(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                       std::uint32_t flags, const wire::PppHeader& header) noexcept {
  if ((flags & (contract::kFlagMppeRequired | contract::kFlagMppe)) != 0)
    return drop_upstream(context, DropReason::clear_text);
  if (header.is(PppProtocol::kIpv4) && (flags & contract::kFlagIpv4Open) != 0)
    context.lane = Lane::kInnerIpv4;
  else if (header.is(PppProtocol::kIpv6) && (flags & contract::kFlagIpv6Open) != 0)
    context.lane = Lane::kInnerIpv6;
  else
    return refuse_network_data(stage, packet, context, flags, header);
  narrow(packet, header.size(), packet->data_len - header.size());
}

// Echo-Request and Discard-Request on an open link end here. False: not one of them.
bool take_echo(StageContext& stage, rte_mbuf* packet, PacketContext& context,
               const wire::PppHeader& header) noexcept {
  const SessionRecord& session = *context.session;
  const MutableBytes information = octets_of(packet).subspan(header.size());
  auto echo = wire::parse_echo(information);
  if (!echo) return false;
  if (echo->code == wire::kLcpDiscardRequest) {
    context.lane = Lane::kConsumed;
    return true;
  }
  // Our own magic number is a loop; that is the control process's to judge.
  if (echo->code != wire::kLcpEchoRequest ||
      (echo->magic == session.our_magic && session.our_magic != 0))
    return false;
  echo->code = wire::kLcpEchoReply;
  echo->magic = session.our_magic;
  // An answer the peer takes (RFC 1661 §5.8): what is more of its data stays away.
  echo->length = std::min(echo->length, std::max(session.peer_mru, kMinMru));
  wire::write_echo(information, *echo);
  narrow(packet, header.size(), echo->length);
  context.ppp_protocol = static_cast<std::uint16_t>(PppProtocol::kLcp);
  context.lane = Lane::kPppOut;
  stage.counters.consumed.add(1);
  stage.counters.generated.add(1);
  return true;
}

// The resets of stateful encryption end here (RFC 1962 §3, RFC 3078 §8.2). Our next packet is a
// flushed one in any case; the Ack is for peers that decrypt nothing before they have it (Linux).
// False: not a reset, or none of our concern.
bool take_reset(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                const wire::PppHeader& header) noexcept {
  constexpr std::size_t kResetLength = 4;
  SessionRecord& session = *context.session;
  const MutableBytes information = octets_of(packet).subspan(header.size());
  if (session.downstream.mppe.mode != mppe::Mode::kStateful || information.size() < kResetLength)
    return false;
  if (information[0] == std::byte{wire::kCcpResetAck}) {
    context.lane = Lane::kConsumed;
    return true;
  }
  if (information[0] != std::byte{wire::kCcpResetRequest}) return false;
  mppe::request_flush(session.downstream.mppe);
  information[0] = std::byte{wire::kCcpResetAck};
  information[2] = std::byte{0};
  information[3] = static_cast<std::byte>(kResetLength);
  narrow(packet, header.size(), kResetLength);
  context.ppp_protocol = static_cast<std::uint16_t>(PppProtocol::kCcp);
  context.lane = Lane::kPppOut;
  stage.counters.consumed.add(1);
  stage.counters.generated.add(1);
  return true;
}

void handle_ppp_frame(StageContext& stage, rte_mbuf* packet, PacketContext& context) noexcept {
  const MutableBytes frame = octets_of(packet);
  if (frame.size() > kMaxReceiveUnit) return drop_upstream(context, DropReason::ppp_too_long);
  if (const DropReason why = wire::check_ppp(frame); why != DropReason::kNone)
    return drop_upstream(context, why);
  const wire::PppHeader header = wire::read_ppp(frame);
  SessionRecord& session = *context.session;
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);

  if (header.is(PppProtocol::kMppe)) {
    if ((flags & contract::kFlagMppe) == 0)
      return drop_upstream(context, DropReason::mppe_not_open);
    narrow(packet, header.size(), frame.size() - header.size());
    context.lane = Lane::kMppe;
    return;
  }
  if (header.protocol <= kLastNetworkProtocol)
    return take_network_data(stage, packet, context, flags, header);
  // A control frame in order has a number and no count: none of the packets that MPPE may miss.
  mppe::DirectionState& receive = session.upstream.mppe;
  if (context.sequence - receive.gre_sequence == 1) receive.gre_sequence = context.sequence;
  if (header.is(PppProtocol::kLcp) && (flags & contract::kFlagLcpOpen) != 0 &&
      take_echo(stage, packet, context, header))
    return;
  if (header.is(PppProtocol::kCcp) && take_reset(stage, packet, context, header)) return;
  punt_to_control(stage, packet, context, header.protocol, header.size());
}

}  // namespace

void ppp_in(Burst& burst, StageContext& stage) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kPpp) handle_ppp_frame(stage, packet, context);
  }
}

}  // namespace pns::dataplane
