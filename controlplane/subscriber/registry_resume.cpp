// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: what outlives a process. The store, the take-over from an earlier control process, and
// the dataplane that comes and goes.
#include <sys/socket.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"
#include "pns/mppe/state.hpp"

namespace pns::subscriber {

using model::SetupStage;

namespace {

// While it fails: when calls are asked for, and when none are.
constexpr auto kStoreRetry = Milliseconds(200);
constexpr auto kStoreLook = Milliseconds(1000);

}  // namespace

// The record of a call is there from the moment its peer may count it as up until it is ending.
void Registry::save(Session& session) {
  using Resume = ppp::Link::Resume;
  auto snapshot = session.link->snapshot();
  if (!snapshot || !session.lease) {
    if (std::exchange(session.stored, Resume::kNot) != Resume::kNot)
      parts_.journal.erase(session.handle.slot);
    return;
  }
  session.stored = session.link->resume();
  if (snapshot->from_lcp) snapshot->user = session.lease_user;
  snapshot->keys.reset();  // keys do not go to the store
  parts_.journal.put(
      resume::StoredSession{.id = SessionId(session.serial),
                            .slot = session.handle.slot,
                            .generation = session.handle.generation,
                            .connection = session.connection,
                            .our_call_id = session.our_call_id,
                            .peer_call_id = session.peer_call_id,
                            .lease = *session.lease,
                            .started_ns = monotonic_ns(session.started),
                            .opened_ns = monotonic_ns(session.opened.value_or(now())),
                            .mtu = session.link->inner_mtu(),
                            .rate_bits_per_second = session.rate_bits_per_second,
                            .link = std::move(*snapshot)});
}

void Registry::on_not_stored(const resume::Journal::Failure& failure) {
  parts_.statistics.store_failures.add();
  if (parts_.statistics.store_failing.get() == 0) look_at_store();
  parts_.statistics.store_failing.set(1);
  if (store_log_.allow(now()))
    log::error("a call could not be stored: no new ones until it can",
               {{"reason", failure.reason},
                {"changes", failure.changes},
                {"suppressed", store_log_.take_suppressed()}});
}

void Registry::look_at_store() {
  store_timer_.expires_after(kStoreLook);
  store_timer_.async_wait([this](const asio::error_code& error) {
    if (error) return;
    try_store();
    if (parts_.statistics.store_failing.get() != 0) look_at_store();
  });
}

// Everything that should be in the store: some of it may not be.
void Registry::store_everything() {
  const auto failures = parts_.statistics.store_failures.get();
  for (const auto& [id, connection] : connections_) {
    (void)connection->machine.take_changes();
    const auto machine = connection->machine.snapshot();
    if (!machine) continue;
    parts_.journal.put(
        resume::StoredConnection{.id = id,
                                 .local = connection->local,
                                 .peer = connection->peer,
                                 .peer_port = connection->peer_port,
                                 .opened_ns = monotonic_ns(connection->opened),
                                 .handled_up_to = connection->socket->handled_up_to(),
                                 .machine = *machine});
    connection->stored = true;
  }
  for (const auto& session : sessions_)
    if (session && session->state == Session::State::kUp) save(*session);
  for (auto& [local, ids] : call_ids_)
    for (const auto& id : ids.resting(now()))
      parts_.journal.put(resume::RestingCallId{local, id.id, monotonic_ns(id.until)});
  keep_only_known({});
  if (!parts_.journal.commit() || parts_.statistics.store_failures.get() != failures) return;
  parts_.statistics.store_failing.set(0);
  log::info("calls can be stored again");
}

void Registry::try_store() {
  if (parts_.statistics.store_failing.get() == 0 || now() - store_tried_ < kStoreRetry) return;
  store_tried_ = now();
  if (parts_.journal.probe()) store_everything();
}

EndReason Registry::shortage() {
  if (short_of_ != EndReason::kNone) return short_of_;
  try_store();
  return parts_.statistics.store_failing.get() == 0 ? EndReason::kNone : EndReason::store_failed;
}

void Registry::take_over(std::vector<contract::Grants::Connection> connections) {
  const auto contents = parts_.journal.load(monotonic_ns(now()));
  take_over_drain(contents.drain);
  std::unordered_map<ConnectionId, const resume::StoredConnection*> by_id;
  for (const auto& stored : contents.connections) by_id.emplace(stored.id, &stored);
  LeftBehind left;
  left.orphan.resize(sessions_.size());
  for (const SlotId slot : orphans_) left.orphan[slot.value] = true;
  std::vector<std::shared_ptr<Connection>> carried;
  std::size_t closed = 0;
  for (auto& granted : connections) {
    next_connection_ = std::max(next_connection_, granted.id.value + 1);
    const auto known = by_id.find(granted.id);
    if (known == by_id.end()) {
      // Never established, or already stopping: the peer dials again.
      ++closed;
      parts_.supervisor.forget_connection(granted.id);
      (void)::shutdown(granted.fd.get(), SHUT_RDWR);
      continue;
    }
    auto connection = add_connection(
        granted.id, std::move(granted.fd), granted.local, granted.peer, granted.tcp_port,
        pptp::ControlConnection(connection_settings_, known->second->machine, now()));
    connection->opened = from_monotonic_ns(known->second->opened_ns);
    // The message in which the process died, when what it caused was stored already.
    (void)connection->socket->skip_handled(known->second->handled_up_to);
    connection->stored = true;
    bool unanswered = false;
    for (const auto& call : known->second->machine.calls) {
      if (call.our_call_id) left.calls[granted.id].emplace(*call.our_call_id, call);
      unanswered |= call.is_offer();
    }
    if (unanswered) unanswered_.push_back(granted.id);
    carried.push_back(std::move(connection));
  }
  std::size_t sessions = 0;
  for (const auto& stored : contents.sessions) sessions += take_over(stored, left) ? 1 : 0;
  std::erase_if(orphans_, [&](SlotId slot) { return !left.orphan[slot.value]; });
  orphans_left_ = orphans_.size();
  rest_call_ids(contents.resting);
  // Calls that were being set up when the process died: tell the peer that they are gone.
  for (const auto& connection : carried) {
    bool ended = false;
    for (const auto& [our_call_id, call] : left.calls[connection->id]) {
      // One that is being cleared waits for its answer, as before.
      if (connection->calls.contains(our_call_id) || call.state == pptp::CallState::kWaitDisconnect)
        continue;
      ended = true;
      apply(*connection,
            connection->machine.end_call(our_call_id, EndReason::control_restarted, {}, now()));
    }
    // Its only call. It may not have heard of it yet, and would wait for the Reply: so it hears
    // that the connection ends, and dials again.
    if (ended && connection->calls.empty() && !connection->machine.originated() &&
        std::ranges::find(unanswered_, connection->id) == unanswered_.end())
      apply(*connection, connection->machine.stop(EndReason::control_restarted, now()));
    connection->socket->start();
  }
  // Last, so that a process that is killed in here leaves to the next one what it found itself.
  keep_only_known(contents.obsolete);
  if (connections.empty() && orphans_.empty()) return;
  log::info("took over from an earlier control process", {{"connections", carried.size()},
                                                          {"connections_closed", closed},
                                                          {"sessions", sessions},
                                                          {"sessions_ended", orphans_.size()}});
}

void Registry::keep_only_known(const std::vector<resume::Key>& obsolete) {
  std::vector<ConnectionId> kept_connections;
  for (const auto& [id, connection] : connections_) kept_connections.push_back(id);
  std::vector<SlotId> kept_sessions;
  for (const auto& session : sessions_)
    if (session) kept_sessions.push_back(session->handle.slot);
  parts_.journal.keep_only(kept_connections, kept_sessions, obsolete);
}

// True: the call goes on. Session memory, the store and the connection must agree on it.
bool Registry::take_over(const resume::StoredSession& stored, LeftBehind& left) {
  const auto found = connections_.find(stored.connection);
  if (stored.slot.value >= left.orphan.size() || !left.orphan[stored.slot.value] ||
      found == connections_.end())
    return false;
  const auto& record = parts_.memory.sessions()[stored.slot.value];
  if (record.state.load(std::memory_order_acquire) != contract::SlotState::kInstalled ||
      record.generation.load(std::memory_order_relaxed) != stored.generation ||
      record.our_call_id != stored.our_call_id)
    return false;
  const auto& connection = found->second;
  const auto& calls = left.calls[stored.connection];
  const auto known = calls.find(stored.our_call_id);
  if (known == calls.end() || known->second.state != pptp::CallState::kEstablished) return false;
  if (!call_ids(record.local).claim(stored.our_call_id)) return false;
  if (!parts_.pools.restore(stored.lease)) {
    call_ids(record.local).release(stored.our_call_id, now());
    return false;
  }
  left.orphan[stored.slot.value] = false;
  auto session = std::make_unique<Session>(parts_.context);
  session->state = Session::State::kUp;
  session->kind = known->second.kind;
  session->link_started = !stored.link.from_lcp;  // see check_sessions()
  session->handle = {stored.slot, stored.generation};
  session->serial = next_serial_++;
  session->connection = stored.connection;
  session->our_call_id = stored.our_call_id;
  session->peer_call_id = stored.peer_call_id;
  session->local = record.local;
  session->peer = record.peer;
  session->worker = steering_.owner(stored.our_call_id).value;
  auto settings = link_settings_;
  settings.peer = record.peer;
  session->link = std::make_unique<ppp::Link>(settings, stored.link, parts_.random, now());
  session->phase = session->link->phase();
  session->lease = stored.lease;
  session->user = stored.link.user;
  session->lease_user = stored.link.user;
  if (stored.link.ipv6) session->ipv6 = {stored.link.ipv6->ours, stored.link.ipv6->peers};
  if (session->link_started)
    session->configured = {.open = true,
                           .send_acfc = stored.link.lcp.send_acfc,
                           .send_pfc = stored.link.lcp.send_pfc,
                           .our_magic = stored.link.lcp.our_magic,
                           .peer_mru = stored.link.lcp.peer_mru};
  session->rate_bits_per_second = stored.rate_bits_per_second;
  session->peer_mru = stored.link.lcp.peer_mru;
  session->mtu = stored.mtu;
  session->started = from_monotonic_ns(stored.started_ns);
  session->opened = from_monotonic_ns(stored.opened_ns);
  session->stage = static_cast<std::size_t>(SetupStage::kOpen);
  connection->calls.emplace(stored.our_call_id, stored.slot);
  destinations_[{session->local, session->peer, session->peer_call_id}] = {stored.slot,
                                                                           session->serial};
  parts_.statistics.sessions_by_kind[static_cast<std::size_t>(session->kind)].add();
  ++sessions_by_worker_.at(session->worker);
  parts_.statistics.sessions_by_phase[static_cast<std::size_t>(session->phase)].add();
  arm_timer(*session);
  session->stored = session->link->resume();
  sessions_[stored.slot.value] = std::move(session);
  return true;
}

// Those of calls that ended lately, and of slots that nobody knows: they are being removed.
void Registry::rest_call_ids(const std::vector<resume::RestingCallId>& stored) {
  for (const auto& resting : stored)
    call_ids(resting.local).rest(resting.id, from_monotonic_ns(resting.until_ns));
  const TimePoint until = now() + pptp::CallIdAllocator::kQuarantine;
  for (const SlotId slot : orphans_) {
    const auto& record = parts_.memory.sessions()[slot.value];
    if (record.local.is_unspecified()) continue;
    parts_.journal.put_to_rest(slot, {record.local, record.our_call_id, monotonic_ns(until)});
    call_ids(record.local).rest(record.our_call_id, until);
  }
}

// Requests that the earlier process had read and not answered.
void Registry::repeat_offers() {
  for (const ConnectionId id : std::exchange(unanswered_, {})) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) continue;
    const auto connection = found->second;
    apply(*connection, connection->machine.offers());
  }
}

void Registry::when_attached(std::function<void()> ready) {
  when_attached_ = std::move(ready);
  if (parts_.dataplane.attached() && when_attached_) std::exchange(when_attached_, nullptr)();
}

// What the dataplane has is what lies in session memory; commands that were in the channel when it
// was lost never came. They are said again; keys, which nobody can say again, are agreed on anew.
void Registry::check_sessions() {
  for (std::size_t slot = 0; slot < sessions_.size(); ++slot) {
    Session* session = sessions_[slot].get();
    if (session == nullptr || session->state != Session::State::kUp) continue;
    const auto& record = parts_.memory.sessions()[slot];
    const auto flags = record.flags.load(std::memory_order_acquire);
    const bool there =
        record.state.load(std::memory_order_acquire) == contract::SlotState::kInstalled &&
        record.generation.load(std::memory_order_relaxed) == session->handle.generation;
    if (!there) {
      perform(*session, model::LinkEnded{EndReason::dataplane_unavailable});
      continue;
    }
    const bool armed = record.downstream.mppe.mode != mppe::Mode::kOff;
    // Between authentication and the first data the keys may be among what was lost.
    const bool keys_lost = session->link->ipv4_flows()
                               ? !armed && session->link->status().mppe != "none"
                               : session->phase == model::LinkPhase::kNetwork;
    if (keys_lost) apply(*session, session->link->start_over(now()));
    const bool open = session->link->ipv4_flows();
    // A call that an earlier process was negotiating anew.
    const bool from_lcp =
        !session->link_started && session->link->resume() == ppp::Link::Resume::kFromLcp;
    if (from_lcp && armed)
      when_stored(*session, 0, [this](Session& alive) {
        require(alive, parts_.dataplane.disarm_mppe(alive.handle));
      });
    // What was closed while nobody listened.
    if (!session->configured && (flags & contract::kFlagLcpOpen) != 0)
      when_stored(*session, 0, [this](Session& alive) {
        require(alive, parts_.dataplane.configure_link(alive.handle, {}));
      });
    if (!open && (flags & contract::kFlagIpv4Open) != 0)
      when_stored(*session, 0, [this](Session& alive) {
        require(alive, parts_.dataplane.close_ipv4(alive.handle));
      });
    if (!session->ipv6 && (flags & contract::kFlagIpv6Open) != 0)
      when_stored(*session, 0, [this](Session& alive) {
        require(alive, parts_.dataplane.close_ipv6(alive.handle));
      });
    if (session->configured && (flags & contract::kFlagLcpOpen) == 0)
      when_stored(*session, 0, [this, link = *session->configured](Session& alive) {
        require(alive, parts_.dataplane.configure_link(alive.handle, link));
      });
    if (open && (flags & contract::kFlagIpv4Open) == 0 && session->lease)
      perform(*session, model::OpenIpv4{session->lease->address});
    if (session->ipv6 && (flags & contract::kFlagIpv6Open) == 0) perform(*session, *session->ipv6);
    if (from_lcp) start_link(*session);
  }
}

void Registry::on_dataplane_attached() {
  parts_.statistics.dataplane_attached.set(1);
  parts_.statistics.dataplane_attaches.add();
  log::info("dataplane attached");
  read_steering();
  check_sessions();
  remove_waiting();
  install_waiting();
  repeat_offers();
  if (when_attached_) std::exchange(when_attached_, nullptr)();
}

void Registry::on_dataplane_detached() {
  parts_.statistics.dataplane_attached.set(0);
  log::warn("dataplane lost");
}

}  // namespace pns::subscriber
