// SPDX-License-Identifier: BSD-3-Clause
//
// Carries out the commands of main to a worker (worker_command.hpp). Between bursts; one worker.
#pragma once

#include <rte_mbuf.h>

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "pns/contract/session_memory.hpp"

namespace pns::dataplane {

// `packet` carries a WorkerCommand. A frame in it is appended to `frames`, which has room for it,
// with its lane; otherwise the packet is freed. Keys are wiped.
void execute(StageContext& stage, rte_mbuf* packet, Burst& frames) noexcept;

// Appends an Ethernet frame of the kernel or of main to `frames`. It leaves by `port` as it is, but
// goes down a session if it is for a subscriber.
void send_frame(StageContext& stage, rte_mbuf* packet, contract::PortRole port,
                Burst& frames) noexcept;

}  // namespace pns::dataplane
