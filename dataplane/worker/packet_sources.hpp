// SPDX-License-Identifier: BSD-3-Clause
//
// Packets that come to a worker from elsewhere than a port, made ready for their first stage. One
// worker; plain functions.
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Packets of the kernel's to subscribers: IP, as they came out of the ring. It has decremented the
// TTL of those that it forwards. Their lanes are downstream.
void accept_from_services(Burst& packets, StageContext& stage) noexcept;

// Packets that another worker handed over. Each goes on in the lane that context.resume names.
void accept_handed_over(Burst& burst, StageContext& stage) noexcept;

// Stand-alone acknowledgements (lane kGreOut) whose time has come, into an empty burst. At most
// Burst::kReceive: a full burst tells that more may be due.
void take_due_acks(Burst& burst, StageContext& stage) noexcept;
// The same of those that cannot wait, all of them.
void take_urgent_acks(Burst& burst, StageContext& stage) noexcept;

// Packets that waited for the peer's window and may leave now (lane kGreOut), into an empty burst.
void take_window_packets(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
