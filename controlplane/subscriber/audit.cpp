// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/subscriber/audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "controlplane/subscriber/session_id.hpp"

namespace pns::subscriber {
namespace {

constexpr std::size_t kMaxFindings = 100;
// Commands of a session that has changed so lately may be on their way to the dataplane.
constexpr auto kSettling = Seconds(1);

class Auditor {
 public:
  Auditor(const Services& services, const SessionTable& sessions, const CallIds& call_ids,
          const ConnectionTable& connections, const Installer& installer)
      : services_(services),
        sessions_(sessions),
        call_ids_(call_ids),
        connections_(connections),
        installer_(installer) {}

  AuditView run() {
    audit_slots();
    sessions_.for_each([this](const Session& session) { audit_session(session); });
    audit_sums();
    audit_connections();
    (void)services_.journal.commit();
    const auto contents = services_.journal.load(monotonic_ns(services_.loop.now()));
    audit_stored_sessions(contents.sessions);
    audit_stored_connections(contents.connections);
    return std::move(view_);
  }

 private:
  void found(std::string_view what, std::string detail) {
    ++view_.findings_in_all;
    if (view_.findings.size() < kMaxFindings)
      view_.findings.push_back({std::string(what), std::move(detail)});
  }
  static std::string text(const Session& session) {
    return fmt::format("session {} slot {}", to_text(session.id()), session.call().slot.value);
  }

  // Records of session memory that no session of this process is in.
  void audit_slots() {
    const auto records = services_.memory.sessions();
    for (std::uint32_t slot = 0; slot < sessions_.capacity(); ++slot) {
      const auto state = records[slot].state.load(std::memory_order_acquire);
      if (state == contract::SlotState::kInstalled) ++view_.installed;
      if (state == contract::SlotState::kFree || sessions_.find(SlotId(slot)) != nullptr) continue;
      // Orphans are on their way out, and the answer to the last of them may be on its way here.
      if (installer_.orphans_left() != 0)
        ++view_.in_motion;
      else
        found("record_without_session", fmt::format("slot {}", slot));
    }
  }

  void audit_session(const Session& session) {
    const auto& call = session.call();
    ++view_.sessions;
    ++calls_of_[call.local];
    if (!call_id_pairs_.emplace(call.local, call.our_call_id).second)
      found("call_id_twice", fmt::format("{}: {}", text(session), call.our_call_id.value));
    if (const auto& lease = session.lease()) {
      ++view_.leases;
      leases_of_pools_ += lease->pool.empty() ? 0 : 1;
      if (!addresses_.insert(lease->address).second)
        found("address_twice", fmt::format("{}: {}", text(session), lease->address.to_string()));
    }
    with_call_ += session.state() != Session::State::kRemoving &&
                          (session.state() != Session::State::kInstalling ||
                           call.kind == model::CallKind::kPlaced) &&
                          !session.withdrawn()
                      ? 1
                      : 0;
    if (session.state() == Session::State::kUp &&
        session.link()->resume() != ppp::Link::Resume::kNot)
      ++resumable_;
    if (session.state() != Session::State::kUp || session.end_reason() != EndReason::kNone ||
        !services_.dataplane.attached() || services_.loop.now() - session.changed() < kSettling) {
      ++view_.in_motion;
      return;
    }
    audit_record(session);
  }

  void audit_record(const Session& session) {
    const auto& call = session.call();
    const auto& record = session.dataplane().record();
    if (record.state.load(std::memory_order_acquire) != contract::SlotState::kInstalled ||
        record.generation.load(std::memory_order_relaxed) !=
            session.dataplane().handle().generation)
      return found("session_without_record", text(session));
    if (record.our_call_id != call.our_call_id || record.peer_call_id != call.peer_call_id ||
        record.local != call.local || record.peer != call.peer)
      found("record_differs", text(session));
    const bool ipv4_open =
        (record.flags.load(std::memory_order_acquire) & contract::kFlagIpv4Open) != 0;
    const bool open = session.link()->ipv4_flows();
    if (open != ipv4_open) found(open ? "open_without_ipv4" : "ipv4_without_open", text(session));
    if (open && (!session.lease() || record.subscriber != session.lease()->address))
      found("address_differs", text(session));
    if (open && session.link()->status().mppe != "none" &&
        (record.upstream.mppe.mode == mppe::Mode::kOff ||
         record.downstream.mppe.mode == mppe::Mode::kOff))
      found("keys_missing", text(session));
  }

  void audit_sums() {
    std::size_t leased = 0;
    for (const auto& pool : services_.pools.status()) leased += pool.in_use;
    if (leased != leases_of_pools_)
      found("leases_differ",
            fmt::format("the pools count {}, sessions hold {}", leased, leases_of_pools_));
    view_.call_ids_quarantined = call_ids_.quarantined_count(services_.loop.now());
    call_ids_.for_each_local([this](Ipv4Address local, std::size_t in_use) {
      view_.call_ids_in_use += in_use;
      if (in_use != calls_of_[local])
        found("call_ids_differ",
              fmt::format("{}: {} in use, {} calls", local.to_string(), in_use, calls_of_[local]));
    });
    for (auto& entry : sessions_.stale_entries()) found("stale_index_entry", std::move(entry));
  }

  void audit_connections() {
    view_.connections = connections_.size();
    std::size_t calls = 0;
    connections_.for_each([&](const Connection& connection) {
      calls += connection.calls().size();
      for (const auto& [our_call_id, id] : connection.calls()) {
        const Session* session = sessions_.find(id);
        if (session == nullptr || session->call().connection != connection.id() ||
            session->call().our_call_id != our_call_id)
          found("call_without_session",
                fmt::format("connection {}, Call ID {}", connection.id().value, our_call_id.value));
      }
    });
    if (calls != with_call_)
      found("calls_differ", fmt::format("connections have {}, sessions are {}", calls, with_call_));
  }

  void audit_stored_sessions(const std::vector<resume::StoredSession>& stored_sessions) {
    view_.stored_sessions = stored_sessions.size();
    if (stored_sessions.size() != resumable_)
      found("stored_sessions_differ",
            fmt::format("{} in the store, {} to be resumed", stored_sessions.size(), resumable_));
    for (const auto& stored : stored_sessions) {
      const Session* session = sessions_.find(stored.slot);
      if (session == nullptr || session->id() != stored.id ||
          session->dataplane().handle().generation != stored.generation ||
          session->call().connection != stored.connection ||
          session->call().our_call_id != stored.our_call_id ||
          session->call().peer_call_id != stored.peer_call_id || !session->lease() ||
          session->lease()->address != stored.lease.address)
        found("stored_session_differs", fmt::format("slot {}", stored.slot.value));
    }
  }

  void audit_stored_connections(const std::vector<resume::StoredConnection>& stored_connections) {
    view_.stored_connections = stored_connections.size();
    std::size_t established = 0;
    connections_.for_each([&](const Connection& connection) {
      established += connection.machine().snapshot() ? 1 : 0;
    });
    if (stored_connections.size() < established)
      found("stored_connections_differ",
            fmt::format("{} in the store, {} established", stored_connections.size(), established));
    for (const auto& stored : stored_connections) {
      const auto connection = connections_.find(stored.id);
      if (!connection) {
        found("stored_connection_of_nobody", fmt::format("connection {}", stored.id.value));
        continue;
      }
      // One that is being stopped keeps its last record until it is closed.
      auto snapshot = connection->machine().snapshot();
      if (snapshot) snapshot->next_echo_identifier = stored.machine.next_echo_identifier;
      if (snapshot && *snapshot != stored.machine)
        found("stored_connection_differs", fmt::format("connection {}", stored.id.value));
    }
  }

  const Services& services_;
  const SessionTable& sessions_;
  const CallIds& call_ids_;
  const ConnectionTable& connections_;
  const Installer& installer_;
  AuditView view_;
  std::set<std::pair<Ipv4Address, OurCallId>> call_id_pairs_;
  std::set<Ipv4Address> addresses_;
  std::unordered_map<Ipv4Address, std::size_t> calls_of_;
  std::size_t leases_of_pools_ = 0;
  std::size_t with_call_ = 0;
  std::size_t resumable_ = 0;
};

}  // namespace

AuditView audit(const Services& services, const SessionTable& sessions, const CallIds& call_ids,
                const ConnectionTable& connections, const Installer& installer) {
  return Auditor(services, sessions, call_ids, connections, installer).run();
}

}  // namespace pns::subscriber
