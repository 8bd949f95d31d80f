// SPDX-License-Identifier: BSD-3-Clause
//
// CallControl: calls from the offer to the moment at which everything that they had is free. It
// owns the control connections, the queue of offers, the installer and the placer of calls, and
// joins them: offered → admitted → installed by the dataplane → Reply sent → PPP runs → ended → the
// dataplane lets go. Each end has one EndReason.
//
// Verbs:
//   refuse     answers an offer that has no session
//   terminate  ends PPP first where it runs, then the call
//   disconnect tells the peer that the call is over, with Call-Disconnect-Notify or Call-Clear
//   end        the call is over: listeners hear it, the dataplane is asked to let go
//   release    slot, Call ID and lease are free again
//
// Event-loop thread only.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/runtime/connection_opener.hpp"
#include "controlplane/subscriber/call_gate.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/call_placer.hpp"
#include "controlplane/subscriber/connection_table.hpp"
#include "controlplane/subscriber/installer.hpp"
#include "controlplane/subscriber/lease_assigner.hpp"
#include "controlplane/subscriber/line_error_reports.hpp"
#include "controlplane/subscriber/liveness_tests.hpp"
#include "controlplane/subscriber/offer_queue.hpp"
#include "controlplane/subscriber/peer_call_ids.hpp"
#include "controlplane/subscriber/refusal_log.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session.hpp"
#include "controlplane/subscriber/session_allocator.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/session_id.hpp"
#include "controlplane/subscriber/session_table.hpp"
#include "controlplane/subscriber/source_limits.hpp"

namespace pns::subscriber {

class CallControl final : public ConnectionTable::Owner,
                          public Installer::Owner,
                          public OfferQueue::Owner,
                          public SessionOwner {
 public:
  // Network side of the process.
  struct Network {
    control::MessageTransport::Factory make_transport;
    control::ConnectionOpener& opener;
    std::vector<Ipv4Address> listen{};              // where placed calls may come from
    std::uint16_t pac_port = wire::pptp::kTcpPort;  // of PACs
    std::string machine_id{};                       // of this host, for its DUID
  };
  // Shared parts, which outlive this.
  struct Parts {
    Services& services;
    SessionTable& sessions;
    CallIds& call_ids;
    SessionEvents& events;
    CallGate& gate;
    SessionIdSource& session_ids;
    SourceLimits& limits;
  };

  CallControl(const Parts& parts, Network network);
  ~CallControl() override;

  [[nodiscard]] ConnectionTable& connections() noexcept { return connections_; }
  [[nodiscard]] const ConnectionTable& connections() const noexcept { return connections_; }
  [[nodiscard]] Installer& installer() noexcept { return installer_; }
  [[nodiscard]] const Installer& installer() const noexcept { return installer_; }
  [[nodiscard]] OfferQueue& offers() noexcept { return offers_; }

  // Places an outgoing call (RFC 2637 §3.2.4.2). `done` is called once, when the call's PPP link is
  // open or the call has failed; perhaps before this returns.
  void place_call(const PlaceRequest& request, PlacedDone done);
  // Lets the offer queue and the placer hear of sessions, after the listeners that were added.
  void add_listeners();
  // Fails placed calls that have no session yet.
  void stop_placing();

  void terminate(Session& session, EndReason reason);
  // Adds a session that an earlier process left. False: its Call ID or its lease is taken.
  [[nodiscard]] bool adopt(Connection& connection, const Session::Call& call,
                           const resume::StoredSession& stored);
  // The published workers of the dataplane may have changed.
  void read_steering() { allocator_.read_steering(); }
  // Called after each connection that has closed.
  void on_connection_closed(std::function<void()> closed) { closed_ = std::move(closed); }

 private:
  void enqueue(ConnectionId id, const model::OfferCall& offer);
  // ---- ConnectionTable::Owner
  void on_offer(Connection& connection, const model::OfferCall& offer) override;
  void on_offer_withdrawn(Connection& connection, const model::WithdrawOffer& offer) override;
  void on_call_refused(Connection& connection, EndReason reason) override;
  void on_call_connected(Connection& connection, const model::ConnectCall& call) override;
  void on_call_ended(Connection& connection, const model::EndCall& end) override;
  void on_wan_errors(Connection& connection, const model::ReportWanErrors& report) override;
  [[nodiscard]] bool on_start_request(Ipv4Address local, Ipv4Address peer) override;
  void on_established(Connection& connection) override;
  void on_closing(Connection& connection, EndReason reason) override;
  void on_closed(Connection& connection, EndReason reason) override;
  // ---- Installer::Owner
  void on_install_answered(Session& session,
                           const control::DataplaneCommands::Reply& reply) override;
  void on_removed(Session& session) override { release(session); }
  void on_room() override { offers_.admit_soon(); }
  // ---- OfferQueue::Owner
  [[nodiscard]] EndReason new_calls_over() const override { return gate_.calls_over(); }
  [[nodiscard]] bool can_install() const override { return installer_.can_install(); }
  void install_offer(ConnectionId connection, const model::OfferCall& offer) override;
  void refuse_offer(ConnectionId connection, std::uint32_t offer, EndReason reason) override;
  // ---- SessionOwner
  [[nodiscard]] Duration farewell_time() const override;
  void on_farewell_over(Session& session) override { disconnect(session); }

  [[nodiscard]] CallPlacer::Hooks placer_hooks(std::uint16_t pac_port);
  [[nodiscard]] std::expected<SessionId, EndReason> dial(ConnectionId id, std::uint64_t number,
                                                         const pptp::OutgoingCall& outgoing);
  // SessionAllocator::make(), and the set-up counts from now on.
  [[nodiscard]] std::expected<Session*, EndReason> make_session(const Connection& connection,
                                                                const Session::Call& call,
                                                                Session::State state);
  void on_install_failed(Session& session, const control::DataplaneCommands::Reply& reply);
  // Ends a call on its control connection. Nothing when that is gone.
  void end_call(ConnectionId id, OurCallId our_call_id, EndReason reason);
  void disconnect(Session& session);
  void end(Session& session, EndReason reason, const model::PeerCodes& codes = {});
  void tell_end(Session& session, EndReason reason, const model::PeerCodes& codes);
  void begin_removal(Session& session, std::optional<std::uint32_t> generation = std::nullopt);
  void release(Session& session);
  void count_withdrawn(EndReason reason);
  [[nodiscard]] TimePoint now() const { return services_.loop.now(); }

  Services& services_;
  SessionTable& sessions_;
  SessionEvents& events_;
  CallGate& gate_;
  SourceLimits& limits_;
  RefusalLog refusal_log_;
  ConnectionTable connections_;
  LivenessTests liveness_;
  PeerCallIds peer_call_ids_;
  LeaseAssigner leases_;
  SessionContext session_context_;
  SessionAllocator allocator_;
  Installer installer_;
  OfferQueue offers_;
  CallPlacer placer_;
  LineErrorReports line_errors_;
  std::function<void()> closed_;
};

}  // namespace pns::subscriber
