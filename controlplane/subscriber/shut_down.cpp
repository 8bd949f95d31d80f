// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/shut_down.hpp"

#include <utility>

#include "pns/log/log.hpp"

namespace pns::subscriber {
namespace {

// 25,600 calls or connections a second at most: the messages of a slice fit into the rings.
constexpr std::size_t kSlice = 256;
constexpr auto kPause = Milliseconds(10);

}  // namespace

ShutDown::ShutDown(control::EventLoop& loop, CallControl& calls, CallGate& gate,
                   BulkTermination& termination)
    : loop_(loop),
      calls_(calls),
      gate_(gate),
      termination_(termination),
      limit_timer_(loop.timers(),
                   [this] { phase_ == Phase::kLinks ? stop_connections() : finish(); }),
      slice_timer_(loop.timers(), [this] { stop_slice(); }) {}

void ShutDown::start(Milliseconds within, std::function<void()> done) {
  if (phase_ != Phase::kNotBegun) return;
  phase_ = Phase::kLinks;
  gate_.set_shutting_down();
  done_ = std::move(done);
  log::info("shutdown started", {{"connections", calls_.connections().size()}});
  calls_.stop_placing();
  until_ = loop_.now() + within;
  limit_timer_.arm(loop_.now() + within / 2);
  calls_.offers().admit_soon();  // refuses what waits
  termination_.start(
      {.reason = EndReason::shutting_down, .slice = kSlice, .pause = kPause, .done = [this] {
         on_progress();
       }});
}

// advance() runs once for all calls and connections that end in this turn of the loop.
void ShutDown::on_progress() {
  if (phase_ == Phase::kNotBegun || std::exchange(posted_, true)) return;
  loop_.post([this] {
    posted_ = false;
    advance();
  });
}

void ShutDown::advance() {
  if (phase_ == Phase::kConnections && calls_.connections().size() == 0) return finish();
  if (phase_ != Phase::kLinks || termination_.is_running()) return;
  bool any = false;
  std::as_const(calls_).connections().for_each(
      [&](const Connection& connection) { any |= !connection.calls().empty(); });
  if (!any) stop_connections();
}

void ShutDown::stop_connections() {
  if (phase_ != Phase::kLinks) return;
  phase_ = Phase::kConnections;
  termination_.cancel();
  limit_timer_.arm(until_);
  std::as_const(calls_).connections().for_each(
      [&](const Connection& connection) { to_stop_.push_back(connection.id()); });
  stop_slice();
}

// In slices, since the answers of the peers need room too.
void ShutDown::stop_slice() {
  for (std::size_t i = 0; i < kSlice && !to_stop_.empty(); ++i) {
    const auto connection = calls_.connections().find(to_stop_.back());
    to_stop_.pop_back();
    if (connection) calls_.connections().stop(*connection, EndReason::shutting_down);
  }
  if (to_stop_.empty()) return on_progress();
  slice_timer_.arm(loop_.now() + kPause);
}

void ShutDown::finish() {
  limit_timer_.cancel();
  if (!done_) return;
  log::info("shutdown finished", {{"connections_unanswered", calls_.connections().size()}});
  std::exchange(done_, nullptr)();
}

}  // namespace pns::subscriber
