// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/offer_queue.hpp"

#include <utility>

#include "controlplane/subscriber/settings.hpp"

namespace pns::subscriber {
namespace {

// Offers admitted or refused before other work of the loop gets its turn.
constexpr int kOfferBatch = 256;

}  // namespace

OfferQueue::OfferQueue(Services& services, Owner& owner)
    : services_(services),
      owner_(owner),
      admission_(make_admission_settings(services.config)),
      timer_(services.loop.timers(), [this] { admit_soon(); }) {}

EndReason OfferQueue::enqueue(ConnectionId connection, Ipv4Address source,
                              const model::OfferCall& offer) {
  const EndReason reason = admission_.enqueue(connection, source, offer, services_.loop.now());
  if (reason == EndReason::kNone) admit();
  return reason;
}

void OfferQueue::withdraw(ConnectionId connection, std::uint32_t offer) {
  (void)admission_.withdraw(connection, offer);
  show();
}

void OfferQueue::forget(ConnectionId connection) {
  admission_.forget(connection);
  show();
}

void OfferQueue::begin_set_up(const Session& session) {
  set_ups_[session.id()] = admission_.begin(session.call().peer, services_.loop.now());
  show();
}

void OfferQueue::end_set_up(const Session& session) {
  const auto found = set_ups_.find(session.id());
  if (found == set_ups_.end()) return;
  admission_.end(found->second);
  set_ups_.erase(found);
  show();
  admit_soon();
}

void OfferQueue::admit_soon() {
  if (admission_.waiting() == 0 || std::exchange(posted_, true)) return;
  services_.loop.post([this] {
    posted_ = false;
    admit();
  });
}

void OfferQueue::admit() {
  for (int i = 0; i < kOfferBatch; ++i) {
    const TimePoint now = services_.loop.now();
    EndReason reason = owner_.new_calls_over();
    std::optional<Admission::Waiting> taken;
    if (reason != EndReason::kNone) {
      taken = admission_.take_oldest();
    } else if ((taken = admission_.next_overdue(now))) {
      reason = services_.dataplane.attached() ? EndReason::admission_timeout
                                              : EndReason::dataplane_unavailable;
    } else if (owner_.can_install()) {
      taken = admission_.next(now);
    }
    if (!taken) {
      show();
      return arm_timer();
    }
    if (reason != EndReason::kNone) {
      owner_.refuse_offer(taken->connection, taken->offer.offer, reason);
    } else {
      services_.statistics.admission_wait.add(
          std::chrono::duration_cast<Milliseconds>(now - taken->since).count());
      owner_.install_offer(taken->connection, taken->offer);
    }
  }
  show();
  admit_soon();
}

void OfferQueue::show() {
  services_.statistics.admission_in_flight.set(static_cast<std::int64_t>(admission_.in_flight()));
  services_.statistics.admission_waiting.set(static_cast<std::int64_t>(admission_.waiting()));
}

// An offer may wait too long, and a set-up may stop counting, without any other event.
void OfferQueue::arm_timer() { timer_.arm(admission_.deadline()); }

}  // namespace pns::subscriber
