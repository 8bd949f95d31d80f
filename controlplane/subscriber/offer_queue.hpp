// SPDX-License-Identifier: BSD-3-Clause
//
// OfferQueue: offered calls from their request to their admission or refusal. Admission decides
// whose turn it is; this runs it on the event loop, in batches, with its timer. Event-loop thread
// only.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/admission.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_events.hpp"

namespace pns::subscriber {

class OfferQueue final : public SessionListener {
 public:
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    // Why new calls are refused for good, so that waiting does not help; kNone: they are not.
    [[nodiscard]] virtual EndReason new_calls_over() const = 0;
    [[nodiscard]] virtual bool can_install() const = 0;
    virtual void install_offer(ConnectionId connection, const model::OfferCall& offer) = 0;
    virtual void refuse_offer(ConnectionId connection, std::uint32_t offer, EndReason reason) = 0;
  };

  OfferQueue(Services& services, Owner& owner);

  // kNone: the offer waits for its turn, which may come before this returns. Otherwise: why not.
  [[nodiscard]] EndReason enqueue(ConnectionId connection, Ipv4Address source,
                                  const model::OfferCall& offer);
  void withdraw(ConnectionId connection, std::uint32_t offer);
  // The connection is gone, and its offers with it.
  void forget(ConnectionId connection);

  // A session's set-up is in flight until its link is open or the call is over.
  void on_opened(const Session& session) override { end_set_up(session); }
  void begin_set_up(const Session& session);
  void end_set_up(const Session& session);

  // There may be room for another set-up: admits waiting offers, in a turn of its own.
  void admit_soon();

 private:
  void admit();
  void show();
  void arm_timer();

  Services& services_;
  Owner& owner_;
  Admission admission_;
  control::Timer timer_;
  bool posted_ = false;
  std::unordered_map<SessionId, Admission::Ticket> set_ups_;
};

}  // namespace pns::subscriber
