// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: offers that wait for their set-up, and whose turn it is.
#include <asio/post.hpp>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"

namespace pns::subscriber {
namespace {

// A share of contract::kCommandCredits; the rest is for commands of calls that are up.
constexpr std::size_t kMaxInstallsInFlight = contract::kCommandCredits / 4;
// Offers admitted or refused before other work of the loop gets its turn.
constexpr int kOfferBatch = 256;

}  // namespace

EndReason Registry::no_calls_now() {
  if (shut_down_ != ShutDown::kNo) return EndReason::shutting_down;
  if (drain_) return EndReason::draining;
  return shortage();
}

void Registry::begin_call(ConnectionId id, const model::OfferCall& offer) {
  const auto found = connections_.find(id);
  // Withdrawn meanwhile, and counted so.
  if (found == connections_.end() || !found->second->machine.awaits_answer(offer.offer)) return;
  Connection& connection = *found->second;
  EndReason reason = no_calls_now();
  if (reason == EndReason::kNone)
    reason = admission_.enqueue(connection.id, connection.peer, offer, now());
  if (reason != EndReason::kNone) return refuse_call(connection, offer.offer, reason);
  admit_offers();
}

// A dataplane that is being restarted is worth waiting for. And not before all that an earlier
// process left is gone: its addresses are in use.
bool Registry::can_install() const noexcept {
  return parts_.dataplane.attached() && orphans_left_ == 0 &&
         installs_in_flight_ < kMaxInstallsInFlight;
}

// In a turn of its own: what makes room is in the middle of something else.
void Registry::install_waiting() {
  if (admission_.waiting() == 0 || std::exchange(admission_posted_, true)) return;
  asio::post(parts_.context, [this] {
    admission_posted_ = false;
    admit_offers();
  });
}

void Registry::admit_offers() {
  for (int i = 0; i < kOfferBatch; ++i) {
    EndReason reason = EndReason::kNone;
    std::optional<Admission::Waiting> taken;
    if (shut_down_ != ShutDown::kNo || drain_) {
      reason = no_calls_now();
      taken = admission_.take_oldest();
    } else if ((taken = admission_.next_overdue(now()))) {
      reason = parts_.dataplane.attached() ? EndReason::admission_timeout
                                           : EndReason::dataplane_unavailable;
    } else if (can_install()) {
      taken = admission_.next(now());
    }
    if (!taken) {
      show_admission();
      return arm_admission_timer();
    }
    const auto found = connections_.find(taken->connection);
    if (found == connections_.end()) continue;
    const auto connection = found->second;
    if (reason != EndReason::kNone) {
      refuse_call(*connection, taken->offer.offer, reason);
    } else {
      parts_.statistics.admission_wait.add(
          std::chrono::duration_cast<Milliseconds>(now() - taken->since).count());
      install(*connection, taken->offer);
    }
  }
  show_admission();
  install_waiting();
}

void Registry::end_set_up(Session& session) {
  if (session.set_up == 0) return;
  admission_.end(std::exchange(session.set_up, 0));
  show_admission();
  install_waiting();
}

void Registry::show_admission() {
  parts_.statistics.admission_in_flight.set(static_cast<std::int64_t>(admission_.in_flight()));
  parts_.statistics.admission_waiting.set(static_cast<std::int64_t>(admission_.waiting()));
}

// For what time alone brings: an offer that has waited too long, a set-up that counts no more.
void Registry::arm_admission_timer() {
  const auto deadline = admission_.deadline();
  if (deadline == admission_armed_) return;
  admission_armed_ = deadline;
  if (!deadline) {
    admission_timer_.cancel();
    return;
  }
  admission_timer_.expires_at(*deadline);
  admission_timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;
    admission_armed_.reset();
    install_waiting();
  });
}

}  // namespace pns::subscriber
