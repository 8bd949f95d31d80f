// SPDX-License-Identifier: BSD-3-Clause
//
// CallGate: whether new calls and connections are taken, and why not. Shutdown, drain, memory and
// the store each close it; whoever takes calls asks it. Event-loop thread only.
#pragma once

#include "controlplane/subscriber/store_health.hpp"
#include "pns/base/end_reason.hpp"

namespace pns::subscriber {

class CallGate {
 public:
  explicit CallGate(StoreHealth& store_health) : store_health_(store_health) {}

  void set_shutting_down() noexcept { shutting_down_ = true; }
  void set_draining(bool draining) noexcept { draining_ = draining; }
  // A resource of the process is short; kNone: it no longer is.
  void set_shortage(EndReason reason) noexcept { shortage_ = reason; }

  [[nodiscard]] bool is_shutting_down() const noexcept { return shutting_down_; }
  // Reason to refuse new calls until further notice: waiting for admission does not help. Or kNone.
  [[nodiscard]] EndReason calls_over() const noexcept {
    if (shutting_down_) return EndReason::shutting_down;
    return draining_ ? EndReason::draining : EndReason::kNone;
  }
  // Reason to refuse a new call now, or kNone.
  [[nodiscard]] EndReason calls_refused() {
    if (const EndReason reason = calls_over(); reason != EndReason::kNone) return reason;
    if (shortage_ != EndReason::kNone) return shortage_;
    return store_health_.is_failing() ? EndReason::store_failed : EndReason::kNone;
  }
  // Reason to refuse a new connection now, or kNone.
  [[nodiscard]] EndReason connections_refused() const noexcept {
    return shutting_down_ ? EndReason::shutting_down : shortage_;
  }

 private:
  StoreHealth& store_health_;
  bool shutting_down_ = false;
  bool draining_ = false;
  EndReason shortage_ = EndReason::kNone;
};

}  // namespace pns::subscriber
