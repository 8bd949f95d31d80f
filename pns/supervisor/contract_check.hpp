// SPDX-License-Identifier: BSD-3-Clause
//
// Judges what an executable printed for `--contract` against what it would share.
#pragma once

#include <string>
#include <string_view>

#include "pns/contract/build_contract.hpp"

namespace pns::supervisor {

// Empty: `program` may take the place of the one that runs. Else one line that says what differs.
// `ours`: of this supervisor, together with whatever has written session memory. An item that only
// the other one prints is one that we do not share. `with_handover`: of a supervisor, which must
// read what this one leaves; planes never see that.
[[nodiscard]] std::string contract_objection(std::string_view program, std::string_view printed,
                                             const contract::BuildContract& ours,
                                             bool with_handover);

}  // namespace pns::supervisor
