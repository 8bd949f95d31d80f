// SPDX-License-Identifier: BSD-3-Clause
//
// Acct-Terminate-Cause (RFC 2866 §5.10) of the reasons for which calls end.
#pragma once

#include "pns/base/end_reason.hpp"
#include "pns/radius/numbers.hpp"

namespace pns::accounting {

using TerminateCause = radius::AcctTerminateCause;

[[nodiscard]] TerminateCause terminate_cause(EndReason reason) noexcept;

}  // namespace pns::accounting
