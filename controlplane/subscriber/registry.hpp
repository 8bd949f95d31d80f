// SPDX-License-Identifier: BSD-3-Clause
//
// Registry: the one place that knows a call, its link, its lease and its dataplane slot together,
// and the only one that carries out what the protocol machines ask for: it owns the sockets, the
// timers, the AAA requests, the leases and the commands to the dataplane. The machines decide, it
// does.
//
// Life of a call: offered (Outgoing- or Incoming-Call-Request) → installing (the dataplane is told)
// → up (Reply sent, PPP runs; of an incoming call once Incoming-Call-Connected is there) → ended
// (told the peer) → removing (the dataplane lets go; then slot, Call ID and lease are free again).
// A call that we place is dialling first, and installed when the PAC has answered. Every end has
// one EndReason: in the log, in a metric, in `pns show`.
//
// Event-loop thread only.
#pragma once

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "controlplane/aaa/authenticator.hpp"
#include "controlplane/dataplane_link/dataplane_link.hpp"
#include "controlplane/model/connection_actions.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/model/statistics.hpp"
#include "controlplane/pools/pool_set.hpp"
#include "controlplane/ppp/link.hpp"
#include "controlplane/pptp/call_id_allocator.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/resume/journal.hpp"
#include "controlplane/runtime/control_socket.hpp"
#include "controlplane/runtime/supervisor_link.hpp"
#include "controlplane/subscriber/admission.hpp"
#include "controlplane/subscriber/call_placer.hpp"
#include "controlplane/subscriber/steering.hpp"
#include "controlplane/subscriber/views.hpp"
#include "pns/base/random.hpp"
#include "pns/base/time.hpp"
#include "pns/config/config.hpp"
#include "pns/contract/session_memory.hpp"
#include "pns/contract/supervisor_protocol.hpp"
#include "pns/log/log.hpp"

namespace pns::subscriber {

class Registry {
 public:
  struct Parts {
    asio::io_context& context;
    const config::Config& config;
    contract::SessionMemory& memory;
    model::Statistics& statistics;
    control::SupervisorLink& supervisor;
    control::DataplaneLink& dataplane;
    aaa::Authenticator& authenticator;
    pools::PoolSet& pools;
    resume::Journal& journal;
    RandomSource& random;
    std::vector<Ipv4Address> listen{};              // where placed calls may come from
    std::uint16_t pac_port = wire::pptp::kTcpPort;  // of PACs
  };

  explicit Registry(Parts parts);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  // A TCP connection was accepted. Closed at once, and counted, when there are too many.
  void accept(UniqueFd fd, Ipv4Address local, Ipv4Address peer, std::uint16_t peer_port);

  // The supervisor could not keep a connection for a successor: it is closed, the peer dials again.
  void on_not_kept(ConnectionId id);

  // Carries on where an earlier control process was killed: the connections it left with the
  // supervisor, the calls that the store and session memory agree on. What cannot be carried on
  // ends. Call once, before anything else.
  void take_over(std::vector<contract::Grants::Connection> connections);

  // Calls `ready` when the dataplane is attached and what an earlier process left is in order.
  void when_attached(std::function<void()> ready);

  // The dataplane's events.
  void on_dataplane_attached();
  void on_dataplane_detached();
  void on_punted(control::SessionHandle handle, Bytes frame);
  // No encrypted packet of the session opens: its link negotiates CCP anew, or ends.
  void on_path_dead(control::SessionHandle handle, bool opened);

  // Ends every call and connection politely; `done` is called when all are gone or time is up.
  void shut_down(Milliseconds within, std::function<void()> done);
  // Before a successor takes over: takes nothing more from the peers, who are told nothing.
  void stop_reading();
  // Whether every message to a peer is with the kernel, so that none is cut in the middle.
  [[nodiscard]] bool is_flushed() const;

  // While a resource is short: new calls and connections are refused for this reason. kNone: it is
  // there again.
  void set_short_of(EndReason reason) noexcept { short_of_ = reason; }

  // From now on no call is offered or placed; those that there are go on until the deadline, at
  // which they are ended politely and so are connections without calls. Again: another deadline.
  // Until cancel_drain() or the end of the server.
  void drain(std::optional<Seconds> deadline);
  void cancel_drain();
  [[nodiscard]] DrainView drain_view() const;

  // Places a call by operator's wish (RFC 2637 §3.2.4.2). `done` is called once, when the call's
  // PPP link is open or the call has failed; perhaps before this returns.
  void place_call(const PlaceRequest& request, PlacedDone done);

  // Ends one session by operator's wish. False: no such session.
  [[nodiscard]] bool clear(std::string_view id_or_user);

  [[nodiscard]] std::vector<SessionView> sessions() const;
  [[nodiscard]] std::vector<ConnectionView> connections() const;
  [[nodiscard]] std::vector<EndView> last_ends() const;

  // Whether session memory, the store, leases, Call IDs and connections say the same of every call.
  [[nodiscard]] AuditView audit() const;

 private:
  struct Connection;
  struct Session;

  // connections
  std::shared_ptr<Connection> add_connection(ConnectionId id, UniqueFd fd, Ipv4Address local,
                                             Ipv4Address peer, std::uint16_t peer_port,
                                             pptp::ControlConnection machine);
  void save(Connection& connection);
  void on_message(Connection& connection, Bytes octets);
  [[nodiscard]] log::RateLimit& refusal_log(EndReason reason) {
    return refusal_logs_[static_cast<std::size_t>(reason)];
  }
  void apply(Connection& connection, const model::ConnectionActions& actions);
  void send(Connection& connection, const wire::pptp::Message& message);
  void close(Connection& connection, EndReason reason);
  void lose(Connection& connection, EndReason reason);
  void arm_timer(Connection& connection);

  // calls
  void begin_call(ConnectionId id, const model::OfferCall& offer);
  // Installs, or refuses, what waits for admission and whose turn has come; the first of them soon.
  void admit_offers();
  void install_waiting();
  // Why no call may be offered or placed now; kNone: it may.
  [[nodiscard]] EndReason no_calls_now();
  [[nodiscard]] bool can_install() const noexcept;
  // Of a call whose link is open or that is over.
  void end_set_up(Session& session);
  void show_admission();
  void arm_admission_timer();
  void install(Connection& connection, const model::OfferCall& offer);
  void refuse_call(Connection& connection, std::uint32_t offer, EndReason reason);
  // A session in a free slot with a Call ID of its own; not installed.
  [[nodiscard]] std::expected<Session*, EndReason> make_session(Connection& connection,
                                                                model::CallKind kind);
  // Tells the dataplane of it. False: it cannot be told now.
  [[nodiscard]] bool install(Session& session, std::uint16_t peer_window);
  // Another session of this peer and Call ID. kNone: there is none, or none any more.
  [[nodiscard]] EndReason make_room(Ipv4Address local, Ipv4Address peer, PeerCallId peer_call_id);
  void on_connected(Connection& connection, const model::ConnectCall& connect);
  void on_wan_errors(Connection& connection, const model::ReportWanErrors& report);
  void report_wan_errors();

  // calls that we place
  [[nodiscard]] CallPlacer::Hooks placer_hooks();
  [[nodiscard]] std::expected<SlotId, EndReason> dial(ConnectionId id, std::uint64_t number,
                                                      const pptp::OutgoingCall& call);
  void apply_kept_start(Ipv4Address peer);
  void count_refusal(const Connection& connection, EndReason reason);
  void count_withdrawn(EndReason reason);
  void on_installed(SlotId slot, std::uint64_t serial, const control::DataplaneLink::Reply& reply);
  void on_installed(Session& session, const control::DataplaneLink::Reply& reply);
  void end_session(Session& session, EndReason reason, const model::PeerCodes& codes = {});
  // In the log, the counters and the books, once for each session that had a call.
  void count_end(Session& session, EndReason reason, const model::PeerCodes& codes);
  void end_politely(Session& session, EndReason reason);
  void remove_from_dataplane(Session& session);
  void remove_waiting();
  void remove_later();
  void check_sessions();
  // Of an earlier process, by what identifies it: records are looked up, never searched for.
  struct LeftBehind {
    std::vector<bool> orphan;  // by slot
    std::unordered_map<ConnectionId, std::unordered_map<OurCallId, pptp::KnownCall>> calls;
  };
  [[nodiscard]] bool take_over(const resume::StoredSession& stored, LeftBehind& left);
  void rest_call_ids(const std::vector<resume::RestingCallId>& resting);
  void repeat_offers();
  void save(Session& session);
  // A turn that was not stored: counted, and while none can be stored no call is taken.
  void on_not_stored(const resume::Journal::Failure& failure);
  void store_everything();
  void keep_only_known(const std::vector<resume::Key>& obsolete);
  // Runs `command` with the session when what was changed before it is stored, if it is up then.
  template <class Command>
  void when_stored(const Session& session, std::size_t octets, Command command);
  // Why no new call can be taken now. kNone: one can.
  void look_at_store();
  void try_store();
  [[nodiscard]] EndReason shortage();
  void release(Session& session);
  void on_removed(SlotId slot, std::uint64_t serial, const control::DataplaneLink::Reply& reply);

  // drain
  void take_over_drain(const std::optional<resume::StoredDrain>& stored);
  void begin_drain();
  void look_at_drain();
  void stop_idle_connections();
  [[nodiscard]] bool drain_is_overdue() const;
  [[nodiscard]] std::size_t calls_left() const;

  // Ends every call politely, a slice after the other.
  struct Ending {
    EndReason reason;
    std::size_t slice;  // calls
    Milliseconds pause;
    std::size_t next = 0;  // slot
  };
  void end_calls(const Ending& ending);
  void end_slice();

  // audit
  using Finding = std::function<void(std::string_view what, std::string detail)>;
  void audit_sessions(AuditView& view, const Finding& found) const;
  void audit_connections(AuditView& view, const Finding& found) const;
  void audit_store(AuditView& view, const Finding& found) const;

  // the end of the process
  void wait_shut_down(TimePoint until);
  void advance_shut_down();
  void stop_connections();
  void stop_some_connections();
  void finish_shut_down();

  // links
  void apply(Session& session, const model::LinkActions& actions);
  void perform(Session& session, const model::SendFrame& action);
  void perform(Session& session, const model::ConfigureLink& action);
  void perform(Session& session, const model::ArmMppe& action);
  void perform(Session& session, const model::DisarmMppe& action);
  void perform(Session& session, const model::OpenIpv4& action);
  void perform(Session& session, const model::CloseIpv4& action);
  void perform(Session& session, const model::OpenIpv6& action);
  void perform(Session& session, const model::CloseIpv6& action);
  void perform(Session& session, const model::Authenticate& action);
  void perform(Session& session, const model::PhaseChanged& action);
  void perform(Session& session, const model::LinkEnded& action);
  void start_link(Session& session);
  // A punted frame to its link, or kept until the link starts.
  void deliver(control::SessionHandle handle, Bytes frame);
  // Terminate-Request and all that, where PPP runs already.
  void close_link(Session& session, EndReason reason);
  void tell_peer(Session& session);
  void on_auth_result(SlotId slot, std::uint64_t serial, const model::AuthResult& result);
  [[nodiscard]] std::optional<model::Lease> lease_for(const model::AuthGrant& grant,
                                                      OurCallId our_call_id);
  [[nodiscard]] model::NetworkParameters network_parameters(const Session& session) const;
  void arm_timer(Session& session);
  void reach(Session& session, model::SetupStage stage);
  // What becomes of a session whose address the dataplane was asked to take.
  [[nodiscard]] control::DataplaneLink::Completion address_answer(const Session& session);
  // A command that must not be lost was refused: the call cannot go on.
  void require(Session& session, const control::DataplaneLink::Sent& sent);

  [[nodiscard]] Session* find(SlotId slot) const noexcept;
  [[nodiscard]] Session* find(SlotId slot, std::uint64_t serial) const noexcept;
  [[nodiscard]] pptp::CallIdAllocator& call_ids(Ipv4Address local);
  [[nodiscard]] std::optional<OurCallId> allocate_call_id(Ipv4Address local, Ipv4Address peer);
  // What the dataplane published, which may be another's by now: sessions have changed owners.
  void read_steering();
  [[nodiscard]] static TimePoint now() noexcept;

  Parts parts_;
  ppp::LinkSettings link_settings_;
  pptp::ConnectionSettings connection_settings_;
  std::unordered_map<ConnectionId, std::shared_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by slot
  std::vector<SlotId> free_slots_;
  std::unordered_map<Ipv4Address, pptp::CallIdAllocator> call_ids_;
  Steering steering_;
  std::vector<std::uint32_t> sessions_by_worker_;
  // Where the dataplane sends to: our address, the peer's, its Call ID.
  using Destination = std::tuple<Ipv4Address, Ipv4Address, PeerCallId>;
  std::map<Destination, std::pair<SlotId, std::uint64_t>> destinations_;
  Admission admission_;
  asio::steady_timer admission_timer_;
  std::optional<TimePoint> admission_armed_;
  bool admission_posted_ = false;
  // Commands that wait for their turn: an area that hangs up at once must not use up the credits.
  std::deque<std::pair<SlotId, std::uint64_t>> waiting_removals_;
  std::size_t installs_in_flight_ = 0;
  std::size_t removals_in_flight_ = 0;
  std::deque<std::pair<TimePoint, EndView>> last_ends_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t next_serial_ = 1;
  enum class ShutDown : std::uint8_t { kNo, kLinks, kConnections };
  ShutDown shut_down_ = ShutDown::kNo;
  TimePoint shut_down_until_{};
  std::function<void()> shut_down_done_;
  bool shut_down_looks_ = false;  // advance_shut_down() looks soon
  std::vector<ConnectionId> to_stop_;
  std::optional<resume::StoredDrain> drain_;
  asio::steady_timer drain_timer_;
  std::optional<Ending> ending_;
  asio::steady_timer ending_timer_;
  std::function<void()> when_attached_;
  // Slots that an earlier process left and nobody knows. Left: with those being removed.
  std::vector<SlotId> orphans_;
  std::size_t orphans_left_ = 0;
  std::vector<ConnectionId> unanswered_;  // taken over with requests that nobody has answered
  asio::steady_timer shut_down_timer_;
  asio::steady_timer removal_timer_;
  asio::steady_timer wan_timer_;
  asio::steady_timer store_timer_;
  CallPlacer placer_;
  std::vector<log::RateLimit> refusal_logs_;  // by reason: one does not silence another
  log::RateLimit connection_log_;
  log::RateLimit store_log_;
  EndReason short_of_ = EndReason::kNone;
  TimePoint store_tried_{};  // since it fails
};

}  // namespace pns::subscriber
