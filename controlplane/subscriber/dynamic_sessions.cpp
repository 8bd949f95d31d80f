// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/dynamic_sessions.hpp"

#include <utility>

#include "controlplane/subscriber/session.hpp"

namespace pns::subscriber {
namespace {

using Wanted = model::SessionIdentification;

template <class Value, class Actual>
bool agrees(const std::optional<Value>& wanted, const Actual& actual) {
  return !wanted || *wanted == actual;
}

bool agrees_in_ipv6(const Wanted& wanted, const Session& session) {
  if (!wanted.ipv6_prefix && !wanted.ipv6_address && !wanted.delegated_prefix) return true;
  const auto& lease = session.account().lease();
  if (!lease || !lease->ipv6_prefix) return false;
  const auto& address = wanted.ipv6_address;
  return agrees(wanted.ipv6_prefix, *lease->ipv6_prefix) &&
         agrees(wanted.delegated_prefix, lease->delegation->prefix) &&
         (!address || lease->ipv6_prefix->contains(*address) ||
          address == lease->delegation->address);
}

bool agrees_in_interface(const Wanted& wanted, const Session& session) {
  if (!wanted.interface_id) return true;
  const ppp::Link* const link = session.link().machine();
  const auto snapshot = link != nullptr ? link->snapshot() : std::nullopt;
  return snapshot && snapshot->ipv6 && snapshot->ipv6->peers == *wanted.interface_id;
}

// A session without an account has been granted nothing that could change.
bool matches(const Session& session, const Wanted& wanted) {
  const Session::Call& call = session.call();
  const SessionAccount& account = session.account();
  if (session.state() != Session::State::kUp || account.user().empty()) return false;
  return agrees(wanted.session, call.id) && agrees(wanted.slot, call.slot) &&
         agrees(wanted.user, account.user()) && agrees(wanted.peer, call.peer) &&
         agrees(wanted.local, call.local) &&
         agrees(wanted.port_id, Wanted::PortId{call.peer, call.peer_call_id}) &&
         (!wanted.address || (account.lease() && account.lease()->address == *wanted.address)) &&
         agrees_in_ipv6(wanted, session) && agrees_in_interface(wanted, session);
}

bool changes_packets(const model::ServiceChange& change) {
  return change.upstream_rate || change.downstream_rate || change.upstream_filter ||
         change.downstream_filter;
}

std::vector<Session*> alone(Session* session) {
  return session == nullptr ? std::vector<Session*>{} : std::vector{session};
}

}  // namespace

// ---- finding --------------------------------------------------------------------------------

std::optional<std::vector<SessionId>> DynamicSessions::find(const Wanted& wanted,
                                                            std::size_t most) const {
  std::vector<SessionId> found;
  if (wanted.names_none) return found;
  const std::vector<Session*> looked_at = candidates(wanted);
  if (looked_at.size() > kMostCandidates) return std::nullopt;
  for (const Session* session : looked_at)
    if (matches(*session, wanted)) found.push_back(session->id());
  if (found.size() > most) return std::nullopt;
  return found;
}

// By the index that leaves the fewest.
std::vector<Session*> DynamicSessions::candidates(const Wanted& wanted) const {
  constexpr std::size_t kMost = kMostCandidates + 1;
  if (wanted.session) return alone(sessions_.find(*wanted.session));
  if (wanted.slot) return alone(sessions_.find(*wanted.slot));
  if (wanted.address) return sessions_.of_address(*wanted.address, {}, kMost);
  if (wanted.ipv6_prefix) return of_prefix(wanted.ipv6_prefix->address);
  if (wanted.ipv6_address) {
    // The address of an account may be elsewhere.
    auto found = of_prefix(*wanted.ipv6_address);
    if (!found.empty()) return found;
  }
  if (wanted.user) return sessions_.of_user(*wanted.user, {}, kMost);
  if (wanted.port_id) return sessions_.of_peer(wanted.port_id->peer, {}, kMost);
  if (wanted.peer) return sessions_.of_peer(*wanted.peer, {}, kMost);
  if (wanted.local) return sessions_.of_local(*wanted.local, kMost);
  return {};
}

std::vector<Session*> DynamicSessions::of_prefix(const Ipv6Address& address) const {
  const auto found = by_prefix_.find(address.high);
  return found == by_prefix_.end() ? std::vector<Session*>{} : alone(sessions_.find(found->second));
}

void DynamicSessions::note_prefix(const Session& session) {
  forget_prefix(session.id());
  const auto& lease = session.account().lease();
  if (!lease || !lease->ipv6_prefix) return;
  by_prefix_[lease->ipv6_prefix->address.high] = session.id();
  prefix_of_[session.id()] = lease->ipv6_prefix->address.high;
}

void DynamicSessions::forget_prefix(SessionId id) {
  const auto prefix = prefix_of_.find(id);
  if (prefix == prefix_of_.end()) return;
  if (const auto found = by_prefix_.find(prefix->second);
      found != by_prefix_.end() && found->second == id)
    by_prefix_.erase(found);
  prefix_of_.erase(prefix);
}

void DynamicSessions::on_changed(const Session& session, const SessionChange& change) {
  if (change.kind == SessionChange::Kind::kAddress) note_prefix(session);
}

// ---- changes --------------------------------------------------------------------------------

void DynamicSessions::disconnect(SessionId id, const Classes& classes, Done done) {
  Session* const session = sessions_.find(id);
  if (session == nullptr) return done(true);  // over already
  if (!classes.empty()) session->link().set_classes(classes);
  ending_[id].push_back(std::move(done));
  end_(id, EndReason::radius_disconnected);
}

void DynamicSessions::on_ended(const Session& session, const SessionEnd&) {
  forget_prefix(session.id());
}

void DynamicSessions::on_released(const Session& session) {
  if (auto waiting = ending_.extract(session.id())) when_stored(std::move(waiting.mapped()));
}

std::optional<model::AuthorizationRefusal> DynamicSessions::objection(
    SessionId id, const model::ServiceChange& change) const {
  const Session* const session = sessions_.find(id);
  if (session != nullptr && !session->link().has_filters(change))
    return model::AuthorizationRefusal::invalid_value;
  return std::nullopt;
}

void DynamicSessions::apply(SessionId id, const model::ServiceChange& change, Done done) {
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->state() != Session::State::kUp) return done(false);
  if (!changes_packets(change)) return apply_rest(id, change, std::move(done));
  // First the part that the dataplane can refuse.
  session->link().change_service(change,
                                 [this, id, change, done = std::move(done)](bool held) mutable {
                                   if (!held) return done(false);
                                   apply_rest(id, change, std::move(done));
                                 });
}

void DynamicSessions::apply_rest(SessionId id, const model::ServiceChange& change, Done done) {
  Session* const session = sessions_.find(id);
  if (session == nullptr || session->state() != Session::State::kUp) return done(false);
  model::SessionConditions conditions =
      session->conditions() != nullptr ? *session->conditions() : model::SessionConditions();
  conditions.limits = model::changed(conditions.limits, change);
  session->set_conditions(conditions);
  if (change.classes) {
    session->link().set_classes(*change.classes);
    session->link().report_change();
  }
  std::vector<Done> all;
  all.push_back(std::move(done));
  when_stored(std::move(all));
}

void DynamicSessions::when_stored(std::vector<Done> all) {
  journal_.when_stored([all = std::move(all)]() mutable {
    for (Done& done : all) done(true);
  });
}

}  // namespace pns::subscriber
