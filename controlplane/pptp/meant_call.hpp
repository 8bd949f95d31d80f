// SPDX-License-Identifier: BSD-3-Clause
//
// Which call of a control connection a message of the peer means (RFC 2637 §3.2.2). Each message
// names one Call ID, and the RFC says which side has assigned it. NAT helpers and some peers put in
// another one: these functions know what stands for which call then. Functions over CallTable, for
// Calls, which counts what means no call. One thread.
#pragma once

#include "controlplane/model/call_kind.hpp"
#include "controlplane/pptp/call_table.hpp"
#include "pns/base/ids.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

// Null in all of these: the message means no call. The first one is for a Reply to our request.
[[nodiscard]] const Call* replied_call(CallTable& table, model::CallKind kind, OurCallId id);
[[nodiscard]] const Call* connected_call(CallTable& table,
                                         const wire::pptp::IncomingCallConnected& connected);
struct ClearedCall {
  const Call* call = nullptr;
  bool by_another_id = false;  // the id is that of no call; there is one call alone to be cleared
};
[[nodiscard]] ClearedCall cleared_call(CallTable& table,
                                       const wire::pptp::CallClearRequest& request);
[[nodiscard]] const Call* disconnected_call(CallTable& table,
                                            const wire::pptp::CallDisconnectNotify& notify);

}  // namespace pns::pptp
