// SPDX-License-Identifier: BSD-3-Clause
//
// Judges what an executable printed for `--contract` against what this one was built with.
#pragma once

#include <string>
#include <string_view>

namespace pns::supervisor {

// Empty: `program` may take the place of the one that runs. Else one line that says what differs.
// `with_handover`: of a supervisor, which must read what this one leaves; planes never see that.
[[nodiscard]] std::string contract_objection(std::string_view program, std::string_view printed,
                                             bool with_handover);

}  // namespace pns::supervisor
