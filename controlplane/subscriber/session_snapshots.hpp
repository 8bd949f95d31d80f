// SPDX-License-Identifier: BSD-3-Clause
//
// A session as others see it: copies for `pns show` and the management API, and for the store. Pure
// functions over the facts that a session tells. Event-loop thread only.
#pragma once

#include <optional>

#include "controlplane/resume/records.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/views.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

[[nodiscard]] SessionView view_of(const Session& session, TimePoint now);
// The record for a successor process; empty: it cannot resume the link.
[[nodiscard]] std::optional<resume::StoredSession> record_of(const Session& session, TimePoint now);

}  // namespace pns::subscriber
