// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "controlplane/subscriber/session_id.hpp"

namespace pns::subscriber {
namespace {

constexpr std::size_t kMaxFindings = 100;
// Each turn looks at so many: that takes well below a millisecond.
constexpr std::size_t kSlotsPerTurn = 64;
constexpr std::size_t kConnectionsPerTurn = 64;
constexpr std::size_t kRecordsPerTurn = 64;
constexpr std::size_t kEntriesPerTurn = 256;
// Commands of a session that has changed so lately may be on their way to the dataplane.
constexpr auto kSettling = Seconds(1);

std::string text(const Session& session) {
  return fmt::format("session {} slot {}", to_text(session.id()), session.call().slot.value);
}

// The peer has the Call ID, so the connection has the call.
bool has_call(const Session& session) noexcept {
  return session.state() != Session::State::kRemoving &&
         (session.state() != Session::State::kInstalling ||
          session.call().kind == model::CallKind::kPlaced) &&
         !session.withdrawn();
}

}  // namespace

bool Audit::turn() {
  const auto go_on = [this](bool more, Part next) {
    if (!more) part_ = next;
    return true;
  };
  switch (part_) {
    case Part::kSessions:
      return go_on(audit_slots(), Part::kConnections);
    case Part::kConnections:
      return go_on(audit_connections(), Part::kStore);
    case Part::kStore:
      return go_on(audit_store(), Part::kIndexes);
    case Part::kIndexes:
      return go_on(audit_indexes(), Part::kSums);
    case Part::kSums:
      audit_sums();
      part_ = Part::kDone;
      break;
    case Part::kDone:
      break;
  }
  return false;
}

void Audit::found(std::string_view what, std::string detail) {
  ++view_.findings_in_all;
  if (view_.findings.size() < kMaxFindings)
    view_.findings.push_back({std::string(what), std::move(detail)});
}

bool Audit::is_still(SessionId id, auto is_so) const {
  const Session* session = sessions_.find(id);
  return session != nullptr && is_so(*session);
}

// Sessions, and records of session memory that no session of this process is in.
bool Audit::audit_slots() {
  (void)services_.journal.commit();  // the store as the sessions are now
  const auto records = services_.memory.sessions();
  const std::uint32_t end = std::min<std::uint32_t>(
      sessions_.capacity(), next_slot_ + static_cast<std::uint32_t>(kSlotsPerTurn));
  for (; next_slot_ < end; ++next_slot_) {
    const auto state = records[next_slot_].state.load(std::memory_order_acquire);
    if (state == contract::SlotState::kInstalled) ++view_.installed;
    if (const Session* session = sessions_.find(SlotId(next_slot_))) {
      audit_session(*session);
    } else if (state != contract::SlotState::kFree) {
      // Orphans are on their way out, and the answer to the last of them may be on its way here.
      if (installer_.orphans_left() != 0)
        ++view_.in_motion;
      else
        found("record_without_session", fmt::format("slot {}", next_slot_));
    }
  }
  return next_slot_ < sessions_.capacity();
}

void Audit::audit_session(const Session& session) {
  const auto& call = session.call();
  ++view_.sessions;
  const auto [same_call, is_new] = by_call_id_.try_emplace({call.local, call.our_call_id}, call.id);
  if (!is_new && is_still(same_call->second, [](const Session&) { return true; }))
    found("call_id_twice", fmt::format("{}: {}", text(session), call.our_call_id.value));
  same_call->second = call.id;
  if (const auto& lease = session.account().lease()) {
    ++view_.leases;
    const auto [same_address, is_first] = by_address_.try_emplace(lease->address, call.id);
    if (!is_first && is_still(same_address->second, [&](const Session& other) {
          return other.account().lease() && other.account().lease()->address == lease->address;
        }))
      found("address_twice", fmt::format("{}: {}", text(session), lease->address.to_string()));
    same_address->second = call.id;
  }
  for (auto& entry : sessions_.missing_entries(session))
    found("missing_index_entry", std::move(entry));
  if (has_call(session)) {
    const auto connection = connections_.find(call.connection);
    if (!connection || connection->call(call.our_call_id) != call.id)
      found("session_without_call", text(session));
  }
  if (session.state() == Session::State::kUp &&
      session.link().machine()->resume() != ppp::Link::Resume::kNot &&
      !services_.journal.has(call.slot))
    found("session_not_stored", text(session));
  if (session.state() != Session::State::kUp || session.end_reason() != EndReason::kNone ||
      !services_.dataplane.attached() || services_.loop.now() - session.changed() < kSettling) {
    ++view_.in_motion;
    return;
  }
  audit_record(session);
}

void Audit::audit_record(const Session& session) {
  const auto& call = session.call();
  const auto& record = session.dataplane().record();
  if (record.state.load(std::memory_order_acquire) != contract::SlotState::kInstalled ||
      record.generation.load(std::memory_order_relaxed) != session.dataplane().handle().generation)
    return found("session_without_record", text(session));
  if (record.our_call_id != call.our_call_id || record.peer_call_id != call.peer_call_id ||
      record.local != call.local || record.peer != call.peer)
    found("record_differs", text(session));
  const bool ipv4_open =
      (record.flags.load(std::memory_order_acquire) & contract::kFlagIpv4Open) != 0;
  const bool open = session.link().machine()->ipv4_flows();
  if (open != ipv4_open) found(open ? "open_without_ipv4" : "ipv4_without_open", text(session));
  if (open &&
      (!session.account().lease() || record.subscriber != session.account().lease()->address))
    found("address_differs", text(session));
  if (open && session.link().machine()->status().mppe != "none" &&
      (record.upstream.mppe.mode == mppe::Mode::kOff ||
       record.downstream.mppe.mode == mppe::Mode::kOff))
    found("keys_missing", text(session));
}

bool Audit::audit_connections() {
  (void)services_.journal.commit();
  const auto next = connections_.visit_some(
      next_connection_, kConnectionsPerTurn,
      [this](const Connection& connection) { audit_connection(connection); });
  next_connection_ = next.value_or(ConnectionId());
  return next.has_value();
}

void Audit::audit_connection(const Connection& connection) {
  ++view_.connections;
  for (const auto& [our_call_id, id] : connection.calls()) {
    const Session* session = sessions_.find(id);
    if (session == nullptr || session->call().connection != connection.id() ||
        session->call().our_call_id != our_call_id)
      found("call_without_session",
            fmt::format("connection {}, Call ID {}", connection.id().value, our_call_id.value));
  }
  if (connection.machine().state() == pptp::ConnectionState::kEstablished &&
      !services_.journal.has(connection.id()))
    found("connection_not_stored", fmt::format("connection {}", connection.id().value));
}

bool Audit::audit_store() {
  (void)services_.journal.commit();
  const auto contents = services_.journal.load_some(monotonic_ns(services_.loop.now()),
                                                    next_record_, kRecordsPerTurn);
  for (const auto& stored : contents.sessions) audit_stored(stored);
  for (const auto& stored : contents.connections) audit_stored(stored);
  return next_record_.has_value();
}

void Audit::audit_stored(const resume::StoredSession& stored) {
  ++view_.stored_sessions;
  const Session* session = sessions_.find(stored.slot);
  if (session == nullptr || session->id() != stored.id ||
      session->dataplane().handle().generation != stored.generation ||
      session->call().connection != stored.connection ||
      session->call().our_call_id != stored.our_call_id ||
      session->call().peer_call_id != stored.peer_call_id || !session->account().lease() ||
      session->account().lease()->address != stored.lease.address)
    found("stored_session_differs", fmt::format("slot {}", stored.slot.value));
}

void Audit::audit_stored(const resume::StoredConnection& stored) {
  ++view_.stored_connections;
  const auto connection = connections_.find(stored.id);
  if (!connection)
    return found("stored_connection_of_nobody", fmt::format("connection {}", stored.id.value));
  // One that is being stopped keeps its last record until it is closed.
  auto snapshot = connection->machine().snapshot();
  if (snapshot) snapshot->next_echo_identifier = stored.machine.next_echo_identifier;
  if (snapshot && *snapshot != stored.machine)
    found("stored_connection_differs", fmt::format("connection {}", stored.id.value));
}

bool Audit::audit_indexes() {
  std::vector<std::string> stale;
  const bool more = sessions_.find_stale(next_entry_, kEntriesPerTurn, stale);
  for (auto& entry : stale) found("stale_index_entry", std::move(entry));
  return more;
}

// Both sides of a sum are of one moment. The turns before have looked at each session.
void Audit::audit_sums() {
  if (services_.pools.leased() != sessions_.leased())
    found("leases_differ", fmt::format("the pools count {}, sessions hold {}",
                                       services_.pools.leased(), sessions_.leased()));
  call_ids_.for_each_local(
      [this](Ipv4Address, std::size_t in_use) { view_.call_ids_in_use += in_use; });
  view_.call_ids_quarantined = call_ids_.quarantined_count(services_.loop.now());
  if (view_.call_ids_in_use != sessions_.size())
    found("call_ids_differ",
          fmt::format("{} in use, {} calls", view_.call_ids_in_use, sessions_.size()));
}

}  // namespace pns::subscriber
