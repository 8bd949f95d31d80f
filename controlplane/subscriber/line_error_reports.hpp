// SPDX-License-Identifier: BSD-3-Clause
//
// LineErrorReports: WAN-Error-Notify in both directions (RFC 2637 §2.14). The totals that a PAC
// tells are counted and kept with the session. For calls of which we are the PAC, the packets that
// the dataplane could not deliver to the peer are told: they are the only line errors that a tunnel
// has. Event-loop thread only.
#pragma once

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/connection_table.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_table.hpp"

namespace pns::subscriber {

class LineErrorReports {
 public:
  // Tells peers from now on if pptp.wan_error_notify is set.
  LineErrorReports(Services& services, SessionTable& sessions, ConnectionTable& connections);
  LineErrorReports(const LineErrorReports&) = delete;
  LineErrorReports& operator=(const LineErrorReports&) = delete;

  // A PAC has told of a call's line.
  void on_reported(Session& session, const model::WanErrors& totals);

 private:
  void report_all();

  Services& services_;
  SessionTable& sessions_;
  ConnectionTable& connections_;
  control::Timer timer_;
};

}  // namespace pns::subscriber
