// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/ppp_out.hpp"

#include "pns/wire/ppp.hpp"

namespace pns::dataplane {

void ppp_out(Burst& burst, StageContext&) noexcept {
  for (rte_mbuf* packet : burst.all()) {
    PacketContext& context = context_of(packet);
    if (context.lane != Lane::kPppOut) continue;
    const std::uint32_t flags = context.session->flags.load(std::memory_order_relaxed);
    const wire::PppHeader header =
        wire::ppp_header_for(context.ppp_protocol, (flags & contract::kFlagSendAcfc) != 0,
                             (flags & contract::kFlagSendPfc) != 0);
    char* room = rte_pktmbuf_prepend(packet, static_cast<std::uint16_t>(header.size()));
    if (room == nullptr) {
      drop_downstream(context, DropReason::no_headroom);
      continue;
    }
    wire::write_ppp({reinterpret_cast<std::byte*>(room), header.size()}, header);
    context.lane = Lane::kGreOut;
  }
}

}  // namespace pns::dataplane
