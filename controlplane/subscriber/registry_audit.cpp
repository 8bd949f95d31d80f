// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: whether everything that is written down about calls in several places says the same.
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "controlplane/subscriber/registry.hpp"
#include "controlplane/subscriber/registry_parts.hpp"

namespace pns::subscriber {
namespace {

constexpr std::size_t kMostFindings = 100;
// What has changed so lately may have commands on their way to the dataplane.
constexpr auto kSettling = Seconds(1);

std::string slot_text(std::size_t slot) { return fmt::format("session {}", slot); }

}  // namespace

AuditView Registry::audit() const {
  (void)parts_.journal.commit();
  AuditView view;
  const Finding found = [&view](std::string_view what, std::string detail) {
    ++view.findings_in_all;
    if (view.findings.size() < kMostFindings)
      view.findings.push_back({std::string(what), std::move(detail)});
  };
  audit_sessions(view, found);
  audit_connections(view, found);
  audit_store(view, found);
  return view;
}

// Against session memory, the pools and the allocators of Call IDs.
void Registry::audit_sessions(AuditView& view, const Finding& found) const {
  std::set<std::pair<Ipv4Address, OurCallId>> call_ids;
  std::set<Ipv4Address> addresses;
  std::unordered_map<Ipv4Address, std::size_t> calls_of;
  std::size_t of_pools = 0;
  std::vector<bool> orphan(sessions_.size());
  for (const SlotId slot : orphans_) orphan[slot.value] = true;
  for (std::size_t slot = 0; slot < sessions_.size(); ++slot) {
    const Session* session = sessions_[slot].get();
    const auto& record = parts_.memory.sessions()[slot];
    const auto state = record.state.load(std::memory_order_acquire);
    if (state == contract::SlotState::kInstalled) ++view.installed;
    if (session == nullptr) {
      if (state == contract::SlotState::kFree) continue;
      // What an earlier process left is on its way out; the answer to it may be on its way here.
      if (orphan[slot] || orphans_left_ != 0)
        ++view.in_motion;
      else
        found("record_without_session", slot_text(slot));
      continue;
    }
    ++view.sessions;
    ++calls_of[session->local];
    if (!call_ids.emplace(session->local, session->our_call_id).second)
      found("call_id_twice", fmt::format("{}: {}", slot_text(slot), session->our_call_id.value));
    if (session->lease) {
      ++view.leases;
      of_pools += session->lease->pool.empty() ? 0 : 1;
      if (!addresses.insert(session->lease->address).second)
        found("address_twice",
              fmt::format("{}: {}", slot_text(slot), session->lease->address.to_string()));
    }
    const auto since = std::max(session->started, session->changed);
    if (session->state != Session::State::kUp || session->link_end != EndReason::kNone ||
        !parts_.dataplane.attached() || now() - since < kSettling) {
      ++view.in_motion;
      continue;
    }
    if (state != contract::SlotState::kInstalled ||
        record.generation.load(std::memory_order_relaxed) != session->handle.generation) {
      found("session_without_record", slot_text(slot));
      continue;
    }
    if (record.our_call_id != session->our_call_id ||
        record.peer_call_id != session->peer_call_id || record.local != session->local ||
        record.peer != session->peer)
      found("record_differs", slot_text(slot));
    const auto flags = record.flags.load(std::memory_order_acquire);
    const bool open = session->link->ipv4_flows();
    if (open != ((flags & contract::kFlagIpv4Open) != 0))
      found(open ? "open_without_ipv4" : "ipv4_without_open", slot_text(slot));
    if (open && (!session->lease || record.subscriber != session->lease->address))
      found("address_differs", slot_text(slot));
    if (open && session->link->status().mppe != "none" &&
        (record.upstream.mppe.mode == mppe::Mode::kOff ||
         record.downstream.mppe.mode == mppe::Mode::kOff))
      found("keys_missing", slot_text(slot));
  }
  std::size_t leased = 0;
  for (const auto& pool : parts_.pools.status()) leased += pool.in_use;
  if (leased != of_pools)
    found("leases_differ", fmt::format("the pools count {}, sessions hold {}", leased, of_pools));
  for (const auto& [local, allocator] : call_ids_)
    if (allocator.in_use() != calls_of[local])
      found("call_ids_differ", fmt::format("{}: {} in use, {} calls", local.to_string(),
                                           allocator.in_use(), calls_of[local]));
  for (const auto& [destination, owner] : destinations_)
    if (find(owner.first, owner.second) == nullptr)
      found("destination_of_nobody", std::get<1>(destination).to_string());
}

void Registry::audit_connections(AuditView& view, const Finding& found) const {
  view.connections = connections_.size();
  std::size_t calls = 0;
  for (const auto& [id, connection] : connections_) {
    calls += connection->calls.size();
    for (const auto& [our_call_id, slot] : connection->calls) {
      const Session* session = find(slot);
      if (session == nullptr || session->connection != id || session->our_call_id != our_call_id)
        found("call_without_session",
              fmt::format("connection {}, Call ID {}", id.value, our_call_id.value));
    }
  }
  std::size_t with_call = 0;
  for (const auto& session : sessions_)
    with_call += session && session->state != Session::State::kRemoving &&
                         (session->state != Session::State::kInstalling ||
                          session->kind == model::CallKind::kPlaced) &&
                         !session->withdrawn
                     ? 1
                     : 0;
  if (calls != with_call)
    found("calls_differ", fmt::format("connections have {}, sessions are {}", calls, with_call));
}

void Registry::audit_store(AuditView& view, const Finding& found) const {
  const auto contents = parts_.journal.load(monotonic_ns(now()));
  const auto& stored_connections = contents.connections;
  const auto& stored_sessions = contents.sessions;
  view.stored_connections = stored_connections.size();
  view.stored_sessions = stored_sessions.size();
  std::size_t expected = 0;
  for (const auto& session : sessions_)
    expected += session && session->state == Session::State::kUp &&
                        session->link->resume() != ppp::Link::Resume::kNot
                    ? 1
                    : 0;
  if (stored_sessions.size() != expected)
    found("stored_sessions_differ",
          fmt::format("{} in the store, {} to be resumed", stored_sessions.size(), expected));
  for (const auto& stored : stored_sessions) {
    const Session* session = find(stored.slot);
    if (session == nullptr || session->handle.generation != stored.generation ||
        session->connection != stored.connection || session->our_call_id != stored.our_call_id ||
        session->peer_call_id != stored.peer_call_id || !session->lease ||
        session->lease->address != stored.lease.address)
      found("stored_session_differs", slot_text(stored.slot.value));
  }
  expected = 0;
  for (const auto& [id, connection] : connections_)
    expected += connection->machine.snapshot() ? 1 : 0;
  if (stored_connections.size() < expected)
    found("stored_connections_differ",
          fmt::format("{} in the store, {} established", stored_connections.size(), expected));
  for (const auto& stored : stored_connections) {
    const auto connection = connections_.find(stored.id);
    if (connection == connections_.end()) {
      found("stored_connection_of_nobody", fmt::format("connection {}", stored.id.value));
      continue;
    }
    // One that is being stopped keeps its last record until it is closed.
    auto snapshot = connection->second->machine.snapshot();
    if (snapshot) snapshot->next_echo_identifier = stored.machine.next_echo_identifier;
    if (snapshot && *snapshot != stored.machine)
      found("stored_connection_differs", fmt::format("connection {}", stored.id.value));
  }
}

}  // namespace pns::subscriber
