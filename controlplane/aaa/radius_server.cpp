// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/radius_server.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace pns::aaa {
namespace {

// A transmission waits no longer than this, or than one time-out when that is longer: a client that
// still waits for its login gets several.
constexpr Duration kMaxWait = Seconds(4);
constexpr std::uint32_t kJitterPerMille = 100;

}  // namespace

RadiusServer::RadiusServer(RadiusServerSettings settings, std::uint16_t sockets,
                           RandomSource& random, model::RadiusServerCounts& counts)
    : settings_(std::move(settings)),
      counts_(counts),
      identifiers_(sockets, static_cast<std::uint8_t>(random.next_u32())),
      window_(settings_.max_window),
      round_trip_(settings_.timeout),
      health_(settings_.health) {
  counts_.name = settings_.endpoint.to_string();
  counts_.kind = settings_.kind;
  publish();
}

bool RadiusServer::has_room() const noexcept {
  if (state() == State::kDead) return false;
  const auto outstanding = static_cast<std::uint32_t>(outstanding_.size());
  if (state() == State::kSuspect && outstanding >= RadiusWindow::kMin) return false;
  return window_.has_room(outstanding);
}

bool RadiusServer::on_answer(const RadiusRequest& request, TimePoint now) noexcept {
  counts_.answers.add();
  window_.on_answer(static_cast<std::uint32_t>(outstanding_.size()));
  round_trip_.on_answer(now - request.first_sent, now - request.last_sent);
  return health_.on_answer();
}

bool RadiusServer::on_late_answer(TimePoint sent, TimePoint now) noexcept {
  round_trip_.on_answer(now - sent, now - sent);
  return health_.on_answer();
}

void RadiusServer::on_timeout(const RadiusRequest& request, TimePoint now) noexcept {
  counts_.timeouts.add();
  window_.on_loss(request.last_sent, now);
  health_.on_lost(request.last_sent, now);
}

Duration RadiusServer::wait(unsigned timeouts, RandomSource& random) const noexcept {
  const Duration first = round_trip_.timeout();
  const Duration doubled = first * (1 << std::min(timeouts, 4U));
  const Duration wait = std::min(doubled, std::max(kMaxWait, first));
  const auto jitter =
      static_cast<std::int64_t>(random.next_u32() % (2 * kJitterPerMille + 1)) - kJitterPerMille;
  return wait + wait / 1000 * jitter;
}

void RadiusServer::publish() noexcept {
  counts_.state.set(static_cast<std::int64_t>(state()));
  counts_.window.set(window_.size());
  counts_.outstanding.set(static_cast<std::int64_t>(outstanding_.size()));
  counts_.deferred.set(static_cast<std::int64_t>(deferred_.size()));
  counts_.round_trip_us.set(
      std::chrono::duration_cast<std::chrono::microseconds>(round_trip_.smoothed()).count());
}

}  // namespace pns::aaa
