// SPDX-License-Identifier: BSD-3-Clause
//
// Networks behind subscribers: the inner routing table leads to their sessions. One worker.
#pragma once

#include "dataplane/pipeline/stage_context.hpp"
#include "dataplane/routing/next_hops.hpp"
#include "dataplane/session/session_table.hpp"

namespace pns::dataplane {

// The session that a next hop leads to; empty for any other kind. Another session does not get its
// slot before the worker's next quiescent state.
[[nodiscard]] inline FoundSession session_of(const SessionTable& sessions,
                                             const NextHop& hop) noexcept {
  if (hop.kind != NextHopKind::kSession) return {};
  contract::SessionRecord* const record = sessions.record(hop.slot);
  if (record == nullptr ||
      record->state.load(std::memory_order_acquire) != contract::SlotState::kInstalled)
    return {};
  return {record, hop.slot};
}

// The session whose subscriber has the address (of either family) behind him. Main too.
template <class Address>
[[nodiscard]] FoundSession session_behind(const SessionTable& sessions, const NextHops& inner,
                                          const Address& address) noexcept {
  return session_of(sessions, inner.get(inner.lookup(address)));
}

// Whether a packet of the session may come from this address, which is not its own: it lies in a
// network behind the subscriber, and no other one in it leads elsewhere. Costs sessions without
// networks no look-up.
template <class Address>
[[nodiscard]] [[gnu::noinline]] bool is_behind(const StageContext& stage,
                                               const PacketContext& context,
                                               const Address& source) noexcept {
  if ((context.session->flags.load(std::memory_order_relaxed) & contract::kFlagNetworks) == 0)
    return false;
  return session_behind(stage.sessions, stage.routing.inner, source).session == context.session;
}

}  // namespace pns::dataplane
