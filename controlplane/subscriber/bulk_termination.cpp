// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/bulk_termination.hpp"

#include <utility>

namespace pns::subscriber {

BulkTermination::BulkTermination(control::EventLoop& loop, SessionTable& sessions,
                                 CallControl& calls)
    : loop_(loop),
      sessions_(sessions),
      calls_(calls),
      timer_(loop.timers(), [this] { end_slice(); }) {}

void BulkTermination::start(Run run) {
  run_ = std::move(run);
  next_slot_ = 0;
  end_slice();
}

void BulkTermination::cancel() {
  run_.reset();
  timer_.cancel();
}

void BulkTermination::end_slice() {
  std::size_t ended = 0;
  while (run_ && next_slot_ < sessions_.capacity() && ended < run_->slice) {
    Session* session = sessions_.find(SlotId(next_slot_++));
    if (session == nullptr || session->state() == Session::State::kRemoving ||
        session->withdrawn() || session->end_reason() != EndReason::kNone ||
        session->link().phase() == model::LinkPhase::kTerminate)
      continue;
    ++ended;
    calls_.terminate(*session, run_->reason);
  }
  if (!run_) return;
  if (next_slot_ < sessions_.capacity()) return timer_.arm(loop_.now() + run_->pause);
  const auto done = std::move(run_->done);
  run_.reset();
  if (done) done();
}

}  // namespace pns::subscriber
