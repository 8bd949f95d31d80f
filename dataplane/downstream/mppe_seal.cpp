// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/downstream/mppe_seal.hpp"

#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

void seal_one(rte_mbuf* packet, PacketContext& context) noexcept {
  SessionRecord& session = *context.session;
  mppe::DirectionState& state = session.downstream.mppe;
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  context.lane = Lane::kPppOut;
  if (state.mode == mppe::Mode::kOff) {
    if ((flags & contract::kFlagMppeRequired) != 0)
      drop_downstream(context, DropReason::clear_text);
    return;
  }
  wire::PppHeader inner;
  inner.protocol = context.ppp_protocol;
  inner.protocol_size = (flags & contract::kFlagSendPfc) != 0 && inner.protocol <= 0xff ? 1 : 2;
  const auto added = static_cast<std::uint16_t>(mppe::kHeaderSize + inner.protocol_size);
  if (rte_pktmbuf_prepend(packet, added) == nullptr)
    return drop_downstream(context, DropReason::no_headroom);
  const MutableBytes frame = octets_of(packet);
  wire::write_ppp(frame.subspan(mppe::kHeaderSize), inner);
  if (!mppe::seal(state, frame)) return drop_downstream(context, DropReason::internal);
  context.ppp_protocol = static_cast<std::uint16_t>(wire::PppProtocol::kMppe);
}

}  // namespace

void mppe_seal(Burst& burst, StageContext&) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane == Lane::kSeal) seal_one(packet, context);
  }
}

}  // namespace pns::dataplane
