// SPDX-License-Identifier: BSD-3-Clause
//
// ShutDown: the polite end of the server. First the links, with Terminate-Request and its answer,
// so that each peer's PPP knows; a call whose link has ended gets its Disconnect-Notify. Then the
// connections, with Stop-Request and its answer. The links have half of the time, the connections
// the rest. Event-loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "controlplane/subscriber/bulk_termination.hpp"
#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/call_gate.hpp"
#include "controlplane/subscriber/session_events.hpp"

namespace pns::subscriber {

class ShutDown final : public SessionListener {
 public:
  ShutDown(control::EventLoop& loop, CallControl& calls, CallGate& gate,
           BulkTermination& termination);

  // `done` is called when all connections are gone or the time is up; once.
  void start(Milliseconds within, std::function<void()> done);
  // A call or a connection has ended.
  void on_progress();
  void on_released(const Session&) override { on_progress(); }
  void on_ended(const Session&, const SessionEnd&) override { on_progress(); }

 private:
  enum class Phase : std::uint8_t { kNotBegun, kLinks, kConnections };
  void advance();
  void stop_connections();
  void stop_slice();
  void finish();

  control::EventLoop& loop_;
  CallControl& calls_;
  CallGate& gate_;
  BulkTermination& termination_;
  control::Timer limit_timer_;
  control::Timer slice_timer_;
  Phase phase_ = Phase::kNotBegun;
  TimePoint until_{};
  std::function<void()> done_;
  bool posted_ = false;  // advance() runs soon
  std::vector<ConnectionId> to_stop_;
};

}  // namespace pns::subscriber
