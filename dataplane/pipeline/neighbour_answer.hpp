// SPDX-License-Identifier: BSD-3-Clause
//
// Answers for subscribers whose addresses lie in the core network: its hosts ask for them by ARP
// and by Neighbor Discovery, and send what follows to us. One worker.
#pragma once

#include <rte_mbuf.h>

#include "dataplane/packet/packet_context.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// A frame from the core port that is no IPv4 packet for us, data at its Ethernet header. When it
// asks for the address of a session, it becomes the answer: kTransmit, within the rate of the
// worker. False: it asks for nothing of ours, and nothing has happened.
[[nodiscard]] bool answer_neighbour(StageContext& stage, rte_mbuf* packet,
                                    PacketContext& context) noexcept;

}  // namespace pns::dataplane
