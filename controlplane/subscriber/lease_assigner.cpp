// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/lease_assigner.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/session_id.hpp"
#include "pns/config/pool_choice.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {
namespace {

using config::OnLimit;
using pools::PoolError;

// It has its place: neither is it about to leave nor has it left.
bool stays(const Session& session) {
  return session.state() == Session::State::kUp && session.end_reason() == EndReason::kNone;
}

}  // namespace

void LeaseAssigner::ask(Session& session, const model::AuthGrant& grant, Done done) {
  if (auto taken = take(session, grant)) return done(std::move(*taken));
  const SessionId id = session.id();
  auto request = std::make_unique<Request>(services_.loop.timers(), [this, id] { attempt(id); });
  request->grant = grant;
  request->grant.mppe.reset();  // keys are not kept longer than they are needed
  request->done = std::move(done);
  request->until = services_.loop.now() + kPatience;
  requests_.insert_or_assign(id, std::move(request));
  attempt(id);
}

// Tries again whenever something has changed, and a last time when the patience is over.
void LeaseAssigner::attempt(SessionId id) {
  Request& request = *requests_.at(id);
  Session* const session = sessions_.find(id);
  if (session == nullptr) {
    requests_.erase(id);
    return;
  }
  auto taken = take(*session, request.grant);
  if (taken) return finish(id, std::move(*taken));
  if (services_.loop.now() >= request.until)
    return finish(id, std::unexpected(taken.error().reason));
  make_room(id, request, std::move(taken.error()));
}

std::expected<model::Lease, LeaseAssigner::Obstacle> LeaseAssigner::take(
    const Session& session, const model::AuthGrant& grant) {
  if (const std::uint32_t limit = grant.sessions.value_or(services_.config.aaa.sessions_per_user);
      limit != 0) {
    Obstacle obstacle = others_of(session, grant.user, EndReason::session_limit);
    if (obstacle.candidates.size() >= limit) {
      obstacle.leaving.clear();  // those have given their places back
      return std::unexpected(std::move(obstacle));
    }
  }

  auto& pools = services_.pools;
  const std::string_view pool =
      config::choose_pool(services_.config.pools, grant.pool, grant.groups, session.call().local);
  auto lease = grant.address
                   ? pools.claim(*grant.address, pool)
                   : pools.allocate(pool, call_ids_.address_buckets(session.call().our_call_id));
  if (lease) {
    const auto networks = add_networks(*lease, pool, grant);
    if (networks) return std::move(*lease);
    pools.release(*lease);
    if (networks.error() == PoolError::kNotLeasable)
      return std::unexpected(Obstacle{.reason = EndReason::route_not_leasable});
    // Only sessions of the same account have the same networks, or those of an earlier users file.
    Obstacle obstacle = others_of(session, grant.user, EndReason::route_in_use);
    std::erase_if(obstacle.candidates, [](const Session* other) {
      const model::Lease& held = *other->account().lease();
      return !held.networks && !held.delegation->prefix && !held.delegation->address;
    });
    return std::unexpected(std::move(obstacle));
  }
  switch (lease.error()) {
    case PoolError::kUnknownPool:
      return std::unexpected(Obstacle{.reason = EndReason::unknown_pool});
    case PoolError::kNotLeasable:
      return std::unexpected(Obstacle{.reason = EndReason::address_not_leasable});
    case PoolError::kExhausted: {
      Obstacle obstacle = others_of(session, grant.user, EndReason::no_address);
      obstacle.silent_only = true;
      return std::unexpected(std::move(obstacle));
    }
    case PoolError::kTaken:
      break;
  }
  Obstacle obstacle{.reason = EndReason::address_in_use};
  for (Session* const holder : sessions_.of_address(*grant.address)) {
    if (!stays(*holder))
      obstacle.leaving.push_back(holder->id());
    else if (holder->account().user() == grant.user)
      obstacle.candidates.push_back(holder);
    else
      obstacle.other_account = holder;
  }
  return std::unexpected(std::move(obstacle));
}

// The parts of a lease beside the IPv4 address.
std::expected<void, PoolError> LeaseAssigner::add_networks(model::Lease& lease,
                                                           std::string_view pool,
                                                           const model::AuthGrant& grant) {
  auto& pools = services_.pools;
  if (const auto added = pools.add_networks(lease, grant.networks); !added) return added;
  const std::string own_pool(lease.pool.empty() ? pool : lease.pool);
  const auto chosen = [&](const std::string& name) { return name.empty() ? own_pool : name; };
  pools.add_ipv6(lease, chosen(grant.ipv6_pool), grant.ipv6_prefix);
  return pools.add_delegation(lease, chosen(grant.delegated_pool), grant.delegated_prefix,
                              grant.ipv6_address);
}

// The other sessions of the account that have a lease. Logins that wait for theirs do not count:
// they come after this one. Costs a look at each session of the account, so only an obstacle does.
LeaseAssigner::Obstacle LeaseAssigner::others_of(const Session& session, std::string_view user,
                                                 EndReason reason) const {
  Obstacle obstacle{.reason = reason};
  for (Session* const other : sessions_.of_user(user)) {
    if (other == &session || !other->account().lease()) continue;
    if (stays(*other))
      obstacle.candidates.push_back(other);
    else
      obstacle.leaving.push_back(other->id());
  }
  return obstacle;
}

void LeaseAssigner::make_room(SessionId id, Request& request, Obstacle obstacle) {
  request.timer.arm(request.until);
  request.waits_for = std::move(obstacle.leaving);
  if (!request.waits_for.empty() || request.tests != 0) return;
  if (obstacle.other_account != nullptr &&
      services_.config.aaa.on_conflict == config::OnConflict::kReplace)
    return replace(request, *obstacle.other_account);
  const OnLimit policy = services_.config.aaa.on_limit;
  if (policy == OnLimit::kRefuse || obstacle.candidates.empty() || request.tested)
    return finish(id, std::unexpected(obstacle.reason));
  if (policy == OnLimit::kReplace && !obstacle.silent_only)
    return replace(request,
                   **std::ranges::min_element(obstacle.candidates, {}, [](const Session* session) {
                     return session->call().started;
                   }));

  std::ranges::sort(obstacle.candidates, {},
                    [](const Session* session) { return session->dataplane().last_heard_ns(); });
  request.tested = true;
  request.refusal = obstacle.reason;
  for (Session* const candidate : obstacle.candidates) {
    if (request.tests == kMaximumTested) break;
    const SessionId tested = candidate->id();
    if (liveness_.ask(
            *candidate, LivenessTests::Way::kTunnel,
            [this, id, tested](LivenessTests::Answer answer) { on_tested(id, tested, answer); }))
      ++request.tests;
  }
  if (request.tests == 0) finish(id, std::unexpected(obstacle.reason));
}

void LeaseAssigner::on_tested(SessionId id, SessionId tested, LivenessTests::Answer answer) {
  const auto found = requests_.find(id);
  if (found == requests_.end() || found->second->tests == 0) return;  // decided already
  Request& request = *found->second;
  --request.tests;
  if (answer == LivenessTests::Answer::kAlive) {
    if (request.tests == 0) finish(id, std::unexpected(request.refusal));
    return;
  }
  request.tests = 0;
  Session* const older = sessions_.find(tested);
  if (older != nullptr && stays(*older)) return replace(request, *older);
  request.timer.arm(services_.loop.now());  // it has left by itself
}

void LeaseAssigner::replace(Request& request, Session& older) {
  log::info("session replaced by a new login",
            {{"session", to_text(older.id())}, {"user", older.account().user()}});
  request.waits_for = {older.id()};
  request.tested = false;  // another login may have been quicker with what becomes free
  older.link().replace();
}

void LeaseAssigner::on_released(const Session& session) {
  // Listeners must not end a session: the next attempt comes by timer.
  for (const auto& [id, request] : requests_)
    if (std::ranges::find(request->waits_for, session.id()) != request->waits_for.end())
      request->timer.arm(services_.loop.now());
}

void LeaseAssigner::on_ended(const Session& session, const SessionEnd&) {
  requests_.erase(session.id());
}

void LeaseAssigner::finish(SessionId id, Result result) {
  const auto request = std::move(requests_.extract(id).mapped());
  request->done(std::move(result));
}

}  // namespace pns::subscriber
