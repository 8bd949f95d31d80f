// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/meant_call.hpp"

namespace pns::pptp {

using model::CallKind;

const Call* replied_call(CallTable& table, CallKind kind, OurCallId id) {
  return table.find_ours(id, [kind](const Call& call) { return call.kind == kind; });
}

const Call* connected_call(CallTable& table, const wire::pptp::IncomingCallConnected& connected) {
  return replied_call(table, CallKind::kIncoming, OurCallId(connected.peers_call_id));
}

ClearedCall cleared_call(CallTable& table, const wire::pptp::CallClearRequest& request) {
  // The field names the id that the PNS assigned (§2.12): the peer's, where we are the PAC.
  const PeerCallId id(request.call_id);
  const Call* call =
      table.find_theirs(id, [](const Call& c) { return !model::we_are_pns(c.kind); });
  // pptp-linux clears a call that was refused, beside one that is up.
  if (call != nullptr || table.is_gone(id)) return {.call = call};
  // NAT helpers rewrite Call IDs, and some peers put in another one. With one call that the peer
  // may clear there is no doubt which is meant; those of other connections are out of reach.
  call = table.find_only_as_pac();
  if (call != nullptr) return {.call = call, .by_another_id = true};
  return {.call = table.find_either(request.call_id, true)};
}

const Call* disconnected_call(CallTable& table, const wire::pptp::CallDisconnectNotify& notify) {
  // The field names the id that the PAC assigned (§2.13): the peer's where we are the PNS, ours
  // where we are the PAC. Some peers put in the other one.
  const Call* as_pns = table.find_theirs(PeerCallId(notify.call_id),
                                         [](const Call& c) { return model::we_are_pns(c.kind); });
  const Call* as_pac = table.find_ours(OurCallId(notify.call_id),
                                       [](const Call& c) { return !model::we_are_pns(c.kind); });
  const Call* call =
      as_pns == nullptr || (as_pac != nullptr && as_pac->number < as_pns->number) ? as_pac : as_pns;
  if (call == nullptr) call = table.find_either(notify.call_id, false);
  // A call that we cleared before its Reply: nobody ever told us its PAC's id.
  if (call == nullptr) call = table.find_cleared_before_reply();
  return call;
}

}  // namespace pns::pptp
