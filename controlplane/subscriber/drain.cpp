// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/drain.hpp"

#include <algorithm>
#include <vector>

#include "pns/log/log.hpp"

namespace pns::subscriber {
namespace {

constexpr auto kPoll = Seconds(1);  // how often a drain counts the calls that are left
// At the deadline: 2,000 calls a second, and as many connections.
constexpr std::size_t kSlice = 100;
constexpr auto kPause = Milliseconds(50);
constexpr std::size_t kConnectionsPerPoll = 2000;

std::uint64_t seconds_of(Duration duration) noexcept {
  return duration <= Duration{}
             ? 0
             : static_cast<std::uint64_t>(std::chrono::ceil<Seconds>(duration).count());
}

}  // namespace

Drain::Drain(Services& services, SessionTable& sessions, CallControl& calls, CallGate& gate,
             BulkTermination& termination)
    : services_(services),
      sessions_(sessions),
      calls_(calls),
      gate_(gate),
      termination_(termination),
      timer_(services.loop.timers(), [this] { poll(); }) {}

void Drain::start(std::optional<Seconds> deadline) {
  const TimePoint time = now();
  if (!drain_)
    drain_ = resume::StoredDrain{.since_ns = monotonic_ns(time), .calls_at_start = calls_left()};
  drain_->deadline_ns.reset();
  if (deadline) drain_->deadline_ns = monotonic_ns(time + *deadline);
  services_.journal.put(*drain_);
  (void)services_.journal.commit();  // the operator is told at once
  log::info("drain started",
            {{"calls", calls_left()}, {"deadline_s", deadline ? deadline->count() : -1}});
  begin();
}

void Drain::cancel() {
  if (!drain_) return;
  drain_.reset();
  services_.journal.erase_drain();
  (void)services_.journal.commit();
  timer_.cancel();
  gate_.set_draining(false);
  if (!gate_.is_shutting_down()) termination_.cancel();
  services_.statistics.draining.set(0);
  services_.statistics.drain_calls_left.set(0);
  log::info("drain cancelled", {{"calls", calls_left()}});
}

void Drain::take_over(const std::optional<resume::StoredDrain>& stored) {
  constexpr std::uint32_t kFirst = 1;
  if (services_.memory.header()
          .process(contract::Process::kControl)
          .starts.load(std::memory_order_relaxed) == kFirst)
    services_.journal.erase_drain();
  else
    drain_ = stored;
  if (!drain_) return;
  log::info("drain continued", {{"calls_at_start", drain_->calls_at_start}});
  begin();
}

void Drain::store() {
  if (drain_)
    services_.journal.put(*drain_);
  else
    services_.journal.erase_drain();
}

DrainView Drain::view() const {
  DrainView view;
  view.calls_left = calls_left();
  view.connections = calls_.connections().size();
  if (!drain_) return view;
  const TimePoint time = now();
  view.draining = true;
  view.calls_at_start = drain_->calls_at_start;
  view.since_s = seconds_of(time - from_monotonic_ns(drain_->since_ns));
  if (drain_->deadline_ns)
    view.deadline_s = seconds_of(from_monotonic_ns(*drain_->deadline_ns) - time);
  return view;
}

void Drain::begin() {
  services_.statistics.draining.set(1);
  gate_.set_draining(true);
  calls_.offers().admit_soon();  // refuses what waits
  poll();
}

bool Drain::is_overdue() const {
  return drain_ && drain_->deadline_ns && now() >= from_monotonic_ns(*drain_->deadline_ns);
}

void Drain::poll() {
  if (!drain_) return;
  services_.statistics.drain_calls_left.set(static_cast<std::int64_t>(calls_left()));
  if (is_overdue() && !gate_.is_shutting_down()) {
    if (!termination_.is_running() && calls_left() != 0)
      termination_.start({.reason = EndReason::draining, .slice = kSlice, .pause = kPause});
    stop_idle_connections();
  }
  auto next = now() + kPoll;
  if (drain_->deadline_ns && !is_overdue())
    next = std::min(next, TimePoint(from_monotonic_ns(*drain_->deadline_ns)));
  timer_.arm(next);
}

// Stops connections that were opened before the deadline. A later one gets its refusal first.
void Drain::stop_idle_connections() {
  std::vector<std::shared_ptr<Connection>> idle;
  calls_.connections().for_each([&](Connection& connection) {
    if (idle.size() < kConnectionsPerPoll &&
        connection.machine().state() == pptp::ConnectionState::kEstablished &&
        connection.machine().calls().empty() && connection.calls().empty() &&
        connection.opened() < from_monotonic_ns(*drain_->deadline_ns))
      idle.push_back(connection.shared_from_this());
  });
  for (const auto& connection : idle) calls_.connections().stop(*connection, EndReason::draining);
}

// Calls that a peer has or was promised.
std::size_t Drain::calls_left() const {
  std::size_t left = 0;
  const SessionTable& sessions = sessions_;
  sessions.for_each([&](const Session& session) {
    left += session.state() != Session::State::kRemoving && !session.withdrawn() ? 1 : 0;
  });
  return left;
}

}  // namespace pns::subscriber
