// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/take_over.hpp"

#include <algorithm>
#include <utility>

#include "pns/log/log.hpp"

namespace pns::subscriber {

void TakeOver::run(std::vector<contract::Grants::Connection> granted) {
  const auto contents = parts_.services.journal.load(monotonic_ns(parts_.services.loop.now()));
  parts_.drain.take_over(contents.drain);
  const std::size_t connections = granted.size();
  orphans_ = parts_.sessions.take_orphans();
  is_orphan_.resize(parts_.sessions.capacity());
  for (const SlotId slot : orphans_) is_orphan_[slot.value] = true;
  adopt_connections(std::move(granted), contents.connections);
  for (const auto& stored : contents.sessions) sessions_adopted_ += adopt(stored) ? 1 : 0;
  std::erase_if(orphans_, [&](SlotId slot) { return !is_orphan_[slot.value]; });
  quarantine_call_ids(contents.resting);
  const std::size_t orphans = orphans_.size();
  parts_.calls.installer().set_orphans(std::exchange(orphans_, {}));
  for (const auto& connection : adopted_) {
    end_unfinished_calls(*connection);
    parts_.calls.connections().start(*connection);
  }
  // Last, so that a process that is killed in here leaves to the next one what it found itself.
  parts_.contents.erase_unknown(contents.obsolete);
  const std::size_t adopted = std::exchange(adopted_, {}).size();
  calls_.clear();
  if (connections == 0 && orphans == 0) return;
  log::info("took over from an earlier control process",
            {{"connections", adopted},
             {"connections_closed", connections - adopted},
             {"sessions", sessions_adopted_},
             {"sessions_ended", orphans}});
}

// A connection without a record was never established, or was stopping: its peer dials again.
void TakeOver::adopt_connections(std::vector<contract::Grants::Connection> granted,
                                 const std::vector<resume::StoredConnection>& stored) {
  std::unordered_map<ConnectionId, const resume::StoredConnection*> by_id;
  for (const auto& record : stored) by_id.emplace(record.id, &record);
  for (auto& connection : granted) {
    const auto found = by_id.find(connection.id);
    const auto* record = found == by_id.end() ? nullptr : found->second;
    auto adopted = parts_.calls.connections().adopt(std::move(connection), record);
    if (!adopted) continue;
    for (const auto& call : record->machine.calls) {
      if (call.our_call_id) calls_[record->id].emplace(*call.our_call_id, call);
      if (call.is_offer()) unanswered_[record->id].push_back(call.number);
    }
    adopted_.push_back(std::move(adopted));
  }
}

bool TakeOver::adopt(const resume::StoredSession& stored) {
  // A record without an id, or with the id of another session, is damaged.
  if (stored.id.value == 0 || parts_.sessions.find(stored.id) != nullptr) return false;
  const auto connection = parts_.calls.connections().find(stored.connection);
  if (!connection || stored.slot.value >= is_orphan_.size() || !is_orphan_[stored.slot.value])
    return false;
  const auto& record = parts_.services.memory.sessions()[stored.slot.value];
  if (record.state.load(std::memory_order_acquire) != contract::SlotState::kInstalled ||
      record.generation.load(std::memory_order_relaxed) != stored.generation ||
      record.our_call_id != stored.our_call_id)
    return false;
  const auto& calls = calls_[stored.connection];
  const auto known = calls.find(stored.our_call_id);
  if (known == calls.end() || known->second.state != pptp::CallState::kEstablished) return false;
  const Session::Call call{.id = stored.id,
                           .slot = stored.slot,
                           .kind = known->second.kind,
                           .connection = stored.connection,
                           .our_call_id = stored.our_call_id,
                           .peer_call_id = stored.peer_call_id,
                           .local = record.local,
                           .peer = record.peer,
                           .started = from_monotonic_ns(stored.started_ns)};
  if (!parts_.calls.adopt(*connection, call, stored)) return false;
  is_orphan_[stored.slot.value] = false;
  return true;
}

// Call IDs of calls that ended lately, and those of orphans, which are being removed.
void TakeOver::quarantine_call_ids(const std::vector<resume::RestingCallId>& resting) {
  const TimePoint now = parts_.services.loop.now();
  const TimePoint until = now + pptp::CallIdAllocator::kQuarantine;
  // A record that says more is of another clock, and must not keep the ids behind it.
  std::vector<resume::RestingCallId> believed = resting;
  for (auto& id : believed) {
    id.until_ns = std::min(id.until_ns, monotonic_ns(until));
    parts_.call_ids.quarantine(id.local, id.id, from_monotonic_ns(id.until_ns));
  }
  parts_.services.journal.remember(believed);
  for (const SlotId slot : orphans_) {
    const auto& record = parts_.services.memory.sessions()[slot.value];
    if (record.local.is_unspecified()) continue;
    parts_.services.journal.put_to_rest(slot,
                                        {record.local, record.our_call_id, monotonic_ns(until)});
    parts_.call_ids.quarantine(record.local, record.our_call_id, until);
  }
}

// Calls that were being set up when the process died: the peer is told that they are gone.
void TakeOver::end_unfinished_calls(Connection& connection) {
  auto& connections = parts_.calls.connections();
  const TimePoint now = parts_.services.loop.now();
  bool ended = false;
  for (const auto& [our_call_id, call] : calls_[connection.id()]) {
    // One that is being cleared waits for its answer, as before.
    if (connection.call(our_call_id) || call.state == pptp::CallState::kWaitDisconnect) continue;
    ended = true;
    connections.apply(connection, connection.machine().our_calls().end(
                                      our_call_id, EndReason::control_restarted, {}, now));
  }
  // The connection's only call: the peer may not have heard of it yet, and would wait for the
  // Reply. It hears that the connection ends, and dials again.
  if (ended && connection.calls().empty() && !connection.machine().originated() &&
      !unanswered_.contains(connection.id()))
    connections.stop(connection, EndReason::control_restarted);
}

// Requests that this process has read itself are not repeated: they wait in the queue already.
void TakeOver::repeat_offers() {
  for (const auto& [id, numbers] : std::exchange(unanswered_, {})) {
    const auto connection = parts_.calls.connections().find(id);
    if (!connection) continue;
    auto offers = connection->machine().our_calls().offers();
    std::erase_if(offers, [&](const model::ConnectionAction& action) {
      const auto* offer = std::get_if<model::OfferCall>(&action);
      return offer == nullptr || std::ranges::find(numbers, offer->offer) == numbers.end();
    });
    parts_.calls.connections().apply(*connection, offers);
  }
}

}  // namespace pns::subscriber
