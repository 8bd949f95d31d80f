// SPDX-License-Identifier: BSD-3-Clause
//
// Echoes: the LCP Echo-Requests of one link (RFC 1661 §5.8): when the next one is due, and how many
// in a row the peer has left without an answer. Any packet of the peer counts as an answer. A part
// of Link, which ends the link of a peer that does not answer. Sans-I/O, one thread.
#pragma once

#include <cstdint>
#include <optional>

#include "controlplane/ppp/context.hpp"
#include "controlplane/ppp/lcp.hpp"
#include "controlplane/ppp/settings.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"

namespace pns::ppp {

class Echoes {
 public:
  // LCP is open: the first request is due an interval from now. None ever is where the interval is
  // zero.
  void start(const LinkSettings& settings, TimePoint now);
  // The same for a link that was taken over, after half an interval to a whole one, at random.
  // Links that resume together would otherwise ask together for ever, and their replies exceed the
  // dataplane's burst.
  void resume(const LinkSettings& settings, RandomSource& random, TimePoint now);
  void stop() noexcept { due_.reset(); }
  // No request by timer before `until`.
  void postpone(TimePoint until) noexcept {
    if (due_ && *due_ < until) due_ = until;
  }
  // The peer has sent a packet.
  void on_sign_of_life() noexcept { unanswered_ = 0; }

  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept { return due_; }
  // Sends the request that is due. False: the peer has left too many without an answer.
  [[nodiscard]] bool on_timer(const LinkSettings& settings, const Lcp& lcp, Context& context);
  // Sends a request out of turn. LCP must be open.
  void send(const Lcp& lcp, Context& context);

 private:
  void start_at(const LinkSettings& settings, TimePoint first);

  std::optional<TimePoint> due_;
  unsigned unanswered_ = 0;
  std::uint8_t identifier_ = 0;
};

}  // namespace pns::ppp
