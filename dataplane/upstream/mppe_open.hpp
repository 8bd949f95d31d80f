// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/session/stage.hpp"

namespace pns::dataplane {

// Lane kMppe → kInner, kInnerIpv6, kControl (a protocol that is not open, RFC 1661 §5.7). Decrypts
// in place and takes the inner protocol off. A
// packet that opens moves a sequence window that waited for proof. Packets that would cost many key
// changes are limited per session and per worker. Stateful sessions that lost packets ask for a
// reset (a frame appended to the burst). RFC 3078 §7, §8.
void mppe_open(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
