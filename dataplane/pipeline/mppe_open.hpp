// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"
#include "pns/base/bytes.hpp"

namespace pns::dataplane {

// Lane kMppe → kInnerIpv4, kInnerIpv6, kControl (a protocol that is not open, RFC 1661 §5.7).
// Decrypts in place and takes the inner protocol off. A packet that opens moves a sequence window
// that waited for proof. A packet beyond a gap opens at once when the gap is short and the token
// buckets have room for its key changes; else it leaves the burst and waits (mppe_gap.hpp).
// Stateful sessions that lost packets ask for a reset (a frame appended to the burst). RFC 3078 §7,
// §8.
void mppe_open(Burst& burst, StageContext& stage) noexcept;

// --- steps that mppe_gap.cpp shares ---

// A packet that has opened; `inner` is its inner frame, within the packet.
void take_inner(StageContext& stage, rte_mbuf* packet, PacketContext& context,
                Bytes inner) noexcept;

// Drops a packet that did not open. A session of which none opens for long is reported to the
// control process (a frame appended to the burst).
void drop_unopened(Burst& burst, StageContext& stage, PacketContext& context,
                   DropReason reason) noexcept;

// CCP Reset-Request without data (RFC 3078 §8.2, RFC 1962 §3), appended to the burst within the
// session's rate.
void request_reset(Burst& burst, StageContext& stage, const PacketContext& context) noexcept;

}  // namespace pns::dataplane
