// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "dataplane/packet/burst.hpp"
#include "dataplane/pipeline/stage_context.hpp"

namespace pns::dataplane {

// Lane kPppOut → kGreOut. Puts Address, Control and Protocol before what ppp_protocol names, as
// short as the peer's options permit; LCP always in full. RFC 1661 §2, §6.5, §6.6.
void ppp_out(Burst& burst, StageContext& stage) noexcept;

}  // namespace pns::dataplane
