// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: drain, that is no new calls until cancelled, and an end of the old ones at the
// deadline; and the end of many calls at once, a slice at a time.
#include <algorithm>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"

namespace pns::subscriber {
namespace {

constexpr auto kDrainLook = Seconds(1);  // how often a drain looks what is left
// At the deadline: 2,000 calls a second, and as many connections.
constexpr std::size_t kDrainSlice = 100;
constexpr auto kDrainPause = Milliseconds(50);
constexpr std::size_t kDrainConnections = 2000;

std::uint64_t seconds_of(Duration duration) noexcept {
  return duration <= Duration{}
             ? 0
             : static_cast<std::uint64_t>(std::chrono::ceil<Seconds>(duration).count());
}

}  // namespace

// ---- drain ----------------------------------------------------------------------------------

void Registry::drain(std::optional<Seconds> deadline) {
  const auto time = now();
  if (!drain_)
    drain_ = resume::StoredDrain{.since_ns = monotonic_ns(time), .calls_at_start = calls_left()};
  drain_->deadline_ns.reset();
  if (deadline) drain_->deadline_ns = monotonic_ns(time + *deadline);
  parts_.journal.put(*drain_);
  (void)parts_.journal.commit();  // the operator is told at once
  log::info("draining",
            {{"calls", calls_left()}, {"deadline_s", deadline ? deadline->count() : -1}});
  begin_drain();
}

void Registry::cancel_drain() {
  if (!drain_) return;
  drain_.reset();
  parts_.journal.erase_drain();
  (void)parts_.journal.commit();
  drain_timer_.cancel();
  if (shut_down_ == ShutDown::kNo) ending_.reset();
  parts_.statistics.draining.set(0);
  parts_.statistics.drain_calls_left.set(0);
  log::info("drain cancelled", {{"calls", calls_left()}});
}

DrainView Registry::drain_view() const {
  DrainView view;
  view.calls_left = calls_left();
  view.connections = connections_.size();
  if (!drain_) return view;
  const auto time = now();
  view.draining = true;
  view.calls_at_start = drain_->calls_at_start;
  view.since_s = seconds_of(time - from_monotonic_ns(drain_->since_ns));
  if (drain_->deadline_ns)
    view.deadline_s = seconds_of(from_monotonic_ns(*drain_->deadline_ns) - time);
  return view;
}

// A drain goes on in the process that follows one that died; in a new server there is none.
void Registry::take_over_drain(const std::optional<resume::StoredDrain>& stored) {
  constexpr std::uint32_t kFirst = 1;
  if (parts_.memory.header()
          .process(contract::Process::kControl)
          .starts.load(std::memory_order_relaxed) == kFirst)
    parts_.journal.erase_drain();
  else
    drain_ = stored;
  if (!drain_) return;
  log::info("draining still", {{"calls_at_start", drain_->calls_at_start}});
  begin_drain();
}

void Registry::begin_drain() {
  parts_.statistics.draining.set(1);
  install_waiting();  // refuses them
  look_at_drain();
}

bool Registry::drain_is_overdue() const {
  return drain_ && drain_->deadline_ns && now() >= from_monotonic_ns(*drain_->deadline_ns);
}

void Registry::look_at_drain() {
  parts_.statistics.drain_calls_left.set(static_cast<std::int64_t>(calls_left()));
  if (drain_is_overdue() && shut_down_ == ShutDown::kNo) {
    if (!ending_ && calls_left() != 0)
      end_calls({.reason = EndReason::draining, .slice = kDrainSlice, .pause = kDrainPause});
    stop_idle_connections();
  }
  auto next = now() + kDrainLook;
  if (drain_->deadline_ns && !drain_is_overdue())
    next = std::min(next, from_monotonic_ns(*drain_->deadline_ns));
  drain_timer_.expires_at(next);
  drain_timer_.async_wait([this](const asio::error_code& error) {
    if (!error && drain_) look_at_drain();
  });
}

// Of those that were there at the deadline. Later ones have come to hear that we take no call.
void Registry::stop_idle_connections() {
  std::vector<std::shared_ptr<Connection>> idle;
  for (const auto& [id, connection] : connections_) {
    if (idle.size() == kDrainConnections) break;
    if (connection->machine.state() == pptp::ConnectionState::kEstablished &&
        connection->machine.calls().empty() && connection->calls.empty() &&
        connection->opened < from_monotonic_ns(*drain_->deadline_ns))
      idle.push_back(connection);
  }
  for (const auto& connection : idle)
    apply(*connection, connection->machine.stop(EndReason::draining, now()));
}

// Those that a peer has or was promised.
std::size_t Registry::calls_left() const {
  return static_cast<std::size_t>(std::ranges::count_if(sessions_, [](const auto& session) {
    return session && session->state != Session::State::kRemoving && !session->withdrawn;
  }));
}

// ---- the end of many calls ------------------------------------------------------------------

void Registry::end_calls(const Ending& ending) {
  ending_ = ending;
  end_slice();
}

// So that the frames of thousands of links fit into the rings, and the others' into the loop.
void Registry::end_slice() {
  std::size_t ended = 0;
  while (ending_ && ending_->next < sessions_.size() && ended < ending_->slice) {
    Session* session = sessions_[ending_->next++].get();
    if (session == nullptr || session->state == Session::State::kRemoving || session->withdrawn ||
        session->link_end != EndReason::kNone || session->phase == model::LinkPhase::kTerminate)
      continue;
    ++ended;
    end_politely(*session, ending_->reason);
  }
  if (!ending_) return;
  if (ending_->next >= sessions_.size()) {
    ending_.reset();
    return advance_shut_down();
  }
  ending_timer_.expires_after(ending_->pause);
  ending_timer_.async_wait([this](const asio::error_code& error) {
    if (!error && ending_) end_slice();
  });
}

}  // namespace pns::subscriber
