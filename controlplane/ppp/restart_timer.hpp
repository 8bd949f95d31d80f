// SPDX-License-Identifier: BSD-3-Clause
//
// RestartTimer: the restart timer of one negotiation and its counter (RFC 1661 §4.6). The counter
// is the number of requests that may still be sent. The first wait is a short one. A part of
// ControlProtocol, which sends. A plain value.
#pragma once

#include <optional>

#include "controlplane/ppp/settings.hpp"
#include "pns/base/time.hpp"

namespace pns::ppp {

class RestartTimer {
 public:
  explicit RestartTimer(unsigned tries) noexcept : tries_(tries) {}

  // Initialize-Restart-Count, and with 0 Zero-Restart-Count. The next wait is the first one.
  void initialize(unsigned tries) noexcept {
    tries_ = tries;
    retransmissions_ = 0;
  }
  void set_tries(unsigned tries) noexcept { tries_ = tries; }
  // The protocol has other tries from now on: those that were sent count.
  void change_tries(unsigned from, unsigned to) noexcept { tries_ += to - from; }
  // A request is about to leave.
  void count_request() noexcept {
    if (tries_ > 0) --tries_;
  }

  void arm(const LinkSettings& settings, TimePoint now) noexcept {
    at_ = now + (retransmissions_ == 0 ? settings.first_restart_timer : settings.restart_timer);
  }
  void stop() noexcept { at_.reset(); }
  [[nodiscard]] const std::optional<TimePoint>& deadline() const noexcept { return at_; }
  [[nodiscard]] bool is_due(TimePoint now) const noexcept { return at_ && now >= *at_; }
  // The timer is due: TO+ when this is true, and a retransmission follows; TO- otherwise.
  [[nodiscard]] bool expire() noexcept {
    at_.reset();
    if (tries_ == 0) return false;
    ++retransmissions_;
    return true;
  }

 private:
  std::optional<TimePoint> at_;
  unsigned tries_;
  unsigned retransmissions_ = 0;
};

}  // namespace pns::ppp
