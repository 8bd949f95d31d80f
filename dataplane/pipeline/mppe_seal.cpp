// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/mppe_seal.hpp"

#include <array>

#include "dataplane/mppe/mppe_engine.hpp"
#include "pns/mppe/mppe.hpp"
#include "pns/wire/ppp.hpp"

namespace pns::dataplane {
namespace {

using contract::SessionRecord;

// The packets that go through the engine together.
struct Batch {
  std::array<rte_mbuf*, MppeEngine::kMaxJobs> packets;
  unsigned count = 0;
};

void seal_batch(Batch& batch, StageContext& stage) noexcept {
  stage.mppe.run(std::span(stage.mppe_jobs).first(batch.count));
  for (unsigned n = 0; n < batch.count; ++n)
    if (!stage.mppe_jobs[n].result)
      drop_downstream(context_of(batch.packets[n]), DropReason::internal);
  batch.count = 0;
}

// Room for the MPPE header, and the inner Protocol field. False: it leaves in the clear, or never.
bool prepend_mppe_header(rte_mbuf* packet, PacketContext& context) noexcept {
  const SessionRecord& session = *context.session;
  const std::uint32_t flags = session.flags.load(std::memory_order_relaxed);
  context.lane = Lane::kPppOut;
  if ((flags & contract::kFlagMppe) == 0) {
    if ((flags & contract::kFlagMppeRequired) != 0)
      drop_downstream(context, DropReason::clear_text);
    return false;
  }
  wire::PppHeader inner;
  inner.protocol = context.ppp_protocol;
  inner.protocol_size = (flags & contract::kFlagSendPfc) != 0 && inner.protocol <= 0xff ? 1 : 2;
  const auto added = static_cast<std::uint16_t>(mppe::kHeaderSize + inner.protocol_size);
  if (rte_pktmbuf_prepend(packet, added) == nullptr) {
    drop_downstream(context, DropReason::no_headroom);
    return false;
  }
  wire::write_ppp(octets_of(packet).subspan(mppe::kHeaderSize), inner);
  context.ppp_protocol = static_cast<std::uint16_t>(wire::PppProtocol::kMppe);
  return true;
}

}  // namespace

void mppe_seal(Burst& burst, StageContext& stage) noexcept {
  Batch batch;
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane != Lane::kSeal || !prepend_mppe_header(packet, context)) continue;
    batch.packets[batch.count] = packet;
    stage.mppe_jobs[batch.count++] = {&context.session->downstream.mppe, octets_of(packet),
                                      MppeWork::kSeal};
    if (batch.count == MppeEngine::kMaxJobs) seal_batch(batch, stage);
  }
  if (batch.count != 0) seal_batch(batch, stage);
}

}  // namespace pns::dataplane
