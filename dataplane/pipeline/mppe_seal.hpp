// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kSeal → kPppOut. Where the session encrypts, puts the inner Protocol field and the MPPE
// header before the packet and encrypts in place; ppp_protocol becomes MPPE's. RFC 3078 §3.
void mppe_seal(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
