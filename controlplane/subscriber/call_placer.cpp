// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/call_placer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "controlplane/runtime/source_address.hpp"
#include "controlplane/subscriber/session.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {
namespace {

constexpr auto kConnectTimeout = Seconds(10);

}  // namespace

CallPlacer::CallPlacer(control::EventLoop& loop, control::ConnectionOpener& opener,
                       std::vector<Ipv4Address> locals, std::uint16_t port, Hooks hooks)
    : loop_(loop),
      opener_(opener),
      locals_(std::move(locals)),
      port_(port),
      hooks_(std::move(hooks)) {}

void CallPlacer::place(const PlaceRequest& request, PlacedDone done) {
  if (placed_.size() >= kMaxPlaced) {
    hooks_.count_end(EndReason::too_many_placed_calls);
    return done({.failure = EndReason::too_many_placed_calls});
  }
  const std::uint64_t number = next_++;
  auto& placed =
      *placed_
           .emplace(number, std::make_unique<Placed>(loop_, request, std::move(done),
                                                     [this, number] { on_timeout(number); }))
           .first->second;
  placed.timer.arm(loop_.now() + request.timeout);
  if (const auto connection = hooks_.established(request.pac)) return dial(number, *connection);
  open_connection(request.pac);
}

void CallPlacer::on_timeout(std::uint64_t number) {
  const auto found = placed_.find(number);
  if (found == placed_.end()) return;
  if (!found->second->session) return fail(number, EndReason::place_timeout);
  hooks_.clear(*found->second->session, EndReason::place_timeout);
}

void CallPlacer::open_connection(Ipv4Address pac) {
  if (attempts_.contains(pac)) return;  // under way: what waits goes over it
  if (locals_.empty()) return fail_waiting(pac, EndReason::connect_failed);
  const auto source = control::source_towards(pac);
  const bool ours = source && std::ranges::find(locals_, *source) != locals_.end();
  Attempt attempt{.local = ours ? *source : locals_.front()};
  attempt.connecting = opener_.connect(
      attempt.local, pac, port_, kConnectTimeout,
      [this, pac, local = attempt.local](std::expected<UniqueFd, int> fd) {
        if (!fd) {
          log::warn("connection to a PAC failed",
                    {{"pac", pac}, {"local", local}, {"error", std::strerror(fd.error())}});
          attempts_.erase(pac);
          return fail_waiting(pac, EndReason::connect_failed);
        }
        attempts_[pac].connecting = 0;
        const auto connection = hooks_.originate(std::move(*fd), local, pac);
        if (!connection) {
          attempts_.erase(pac);
          return fail_waiting(pac, EndReason::connection_limit);
        }
        // It may have failed while it was made, and another attempt may stand in its place.
        if (const auto found = attempts_.find(pac);
            found != attempts_.end() && found->second.connecting == 0)
          found->second.connection = connection;
      });
  if (attempt.connecting == 0) return fail_waiting(pac, EndReason::too_many_placed_calls);
  attempts_.emplace(pac, attempt);
}

void CallPlacer::on_established(ConnectionId id, Ipv4Address peer) {
  if (const auto found = attempts_.find(peer); found != attempts_.end()) {
    // The peer's own connection was quicker than our TCP: ours is not needed.
    if (found->second.connecting != 0) opener_.cancel(found->second.connecting);
    const auto ours = found->second.connection;
    attempts_.erase(found);
    if (ours && *ours != id) hooks_.yield_collision(*ours);
  }
  for (const std::uint64_t number : waiting_for(peer)) dial(number, id);
}

void CallPlacer::on_closed(ConnectionId id, Ipv4Address peer, EndReason reason) {
  const auto found = attempts_.find(peer);
  if (found == attempts_.end()) {
    // A request that waits without an attempt of ours waits for the winner of a collision.
    if (reason != EndReason::collision_lost) fail_waiting(peer, reason);
    return;
  }
  // While ours is made its id is not known here yet; nothing else can close meanwhile.
  const Attempt& attempt = found->second;
  const bool ours = attempt.connection ? *attempt.connection == id : attempt.connecting == 0;
  if (!ours) return;
  attempts_.erase(found);
  fail_waiting(peer, reason);
}

CallPlacer::Collision CallPlacer::on_start_request(Ipv4Address local, Ipv4Address peer) {
  const auto found = attempts_.find(peer);
  // Before our own Start-Request has gone there is none.
  if (found == attempts_.end() || !found->second.connection || found->second.local != local)
    return Collision::kNone;
  log::info("collision of control connections",
            {{"peer", peer}, {"local", local}, {"winner", std::max(local, peer)}});
  if (local > peer) return Collision::kWeWin;
  const ConnectionId ours = *found->second.connection;
  attempts_.erase(found);  // first: what waits is not to fail with it
  hooks_.yield_collision(ours);
  return Collision::kWeLose;
}

void CallPlacer::dial(std::uint64_t number, ConnectionId connection) {
  const auto found = placed_.find(number);
  if (found == placed_.end()) return;
  const auto session = hooks_.dial(connection, number, found->second->request.call);
  const auto still = placed_.find(number);  // the call may be over already
  if (still == placed_.end()) return;
  if (!session) return fail(number, session.error());
  still->second->session = *session;
}

void CallPlacer::on_opened(const Session& session) {
  if (session.call().placed == 0) return;
  finish(
      session.call().placed,
      {.session = session.id(),
       .user = session.account().user(),
       .address = session.account().lease() ? session.account().lease()->address : Ipv4Address()});
}

void CallPlacer::on_ended(const Session& session, const SessionEnd& end) {
  if (session.call().placed != 0)
    finish(session.call().placed, {.failure = end.reason, .codes = end.codes});
}

void CallPlacer::shut_down() {
  for (const auto& [pac, attempt] : attempts_)
    if (attempt.connecting != 0) opener_.cancel(attempt.connecting);
  attempts_.clear();
  std::vector<std::uint64_t> waiting;
  for (const auto& [number, placed] : placed_)
    if (!placed->session) waiting.push_back(number);
  for (const std::uint64_t number : waiting) fail(number, EndReason::shutting_down);
}

std::vector<std::uint64_t> CallPlacer::waiting_for(Ipv4Address pac) const {
  std::vector<std::uint64_t> out;
  for (const auto& [number, placed] : placed_)
    if (placed->request.pac == pac && !placed->session) out.push_back(number);
  return out;
}

void CallPlacer::fail_waiting(Ipv4Address pac, EndReason reason) {
  for (const std::uint64_t number : waiting_for(pac)) fail(number, reason);
}

// The result of a call without a session.
void CallPlacer::fail(std::uint64_t number, EndReason reason) {
  if (!placed_.contains(number)) return;
  hooks_.count_end(reason);
  finish(number, {.failure = reason});
}

void CallPlacer::finish(std::uint64_t number, PlacedCall result) {
  const auto found = placed_.find(number);
  if (found == placed_.end()) return;
  result.took_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<Milliseconds>(loop_.now() - found->second->asked).count());
  const auto done = std::move(found->second->done);
  placed_.erase(found);
  done(result);
}

}  // namespace pns::subscriber
