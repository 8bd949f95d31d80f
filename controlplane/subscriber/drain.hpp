// SPDX-License-Identifier: BSD-3-Clause
//
// Drain: no call is offered or placed any more; the calls that there are go on until the deadline.
// Then they are ended politely, and so are connections without calls. A drain lasts until it is
// cancelled or the server ends, also over restarts of the control process. Event-loop thread only.
#pragma once

#include <cstddef>
#include <optional>

#include "controlplane/subscriber/bulk_termination.hpp"
#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/call_gate.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/views.hpp"

namespace pns::subscriber {

class Drain {
 public:
  Drain(Services& services, SessionTable& sessions, CallControl& calls, CallGate& gate,
        BulkTermination& termination);

  // Begins, or changes the deadline; empty: there is none.
  void start(std::optional<Seconds> deadline);
  void cancel();
  // Goes on with the drain that an earlier process stored. In a new server there is none.
  void take_over(const std::optional<resume::StoredDrain>& stored);
  // Puts its record into the journal again, or erases it.
  void store();
  [[nodiscard]] DrainView view() const;

 private:
  void begin();
  void poll();
  void stop_idle_connections();
  [[nodiscard]] bool is_overdue() const;
  [[nodiscard]] std::size_t calls_left() const;
  [[nodiscard]] TimePoint now() const { return services_.loop.now(); }

  Services& services_;
  SessionTable& sessions_;
  CallControl& calls_;
  CallGate& gate_;
  BulkTermination& termination_;
  control::Timer timer_;
  std::optional<resume::StoredDrain> drain_;
};

}  // namespace pns::subscriber
