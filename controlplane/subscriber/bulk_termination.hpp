// SPDX-License-Identifier: BSD-3-Clause
//
// BulkTermination: ends every call, a slice at a time, so that the frames of thousands of links fit
// into the rings and the other work of the event loop gets its turn. One run at a time; a later one
// replaces the earlier one. Event-loop thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "controlplane/runtime/event_loop.hpp"
#include "controlplane/subscriber/call_control.hpp"
#include "controlplane/subscriber/session_table.hpp"

namespace pns::subscriber {

class BulkTermination {
 public:
  struct Run {
    EndReason reason;
    std::size_t slice;             // calls
    Milliseconds pause;            // between two slices
    std::function<void()> done{};  // after the last slice
  };

  BulkTermination(control::EventLoop& loop, SessionTable& sessions, CallControl& calls);

  // The first slice is ended before this returns.
  void start(Run run);
  void cancel();
  [[nodiscard]] bool is_running() const noexcept { return run_.has_value(); }

 private:
  void end_slice();

  control::EventLoop& loop_;
  SessionTable& sessions_;
  CallControl& calls_;
  control::Timer timer_;
  std::optional<Run> run_;
  std::uint32_t next_slot_ = 0;
};

}  // namespace pns::subscriber
