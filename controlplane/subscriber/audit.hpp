// SPDX-License-Identifier: BSD-3-Clause
//
// Audit: whether session memory, the store, the pools, the Call IDs and the tables of this process
// say the same of every call. Costs O(all sessions). Event-loop thread only.
#pragma once

#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "controlplane/subscriber/views.hpp"

namespace pns::subscriber {

[[nodiscard]] AuditView audit(const Services& services, const SessionTable& sessions,
                              const CallIds& call_ids, const ConnectionTable& connections,
                              const Installer& installer);

}  // namespace pns::subscriber
