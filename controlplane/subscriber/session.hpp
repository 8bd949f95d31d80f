// SPDX-License-Identifier: BSD-3-Clause
//
// Session: the life of one call. It joins the PPP link, the dataplane's session, the AAA request
// and the lease, and carries out what the link asks for. The link decides, the session acts.
//
// States: dialling (a call that we place, no answer yet) → installing (the dataplane is told) → up
// (PPP runs) → removing (the dataplane lets go). CallControl drives them; verbs:
//   close_link    ends PPP with Terminate-Request, then the call
//   withdraw      the call ended while the dataplane installed it
//   begin_removal the call has ended, the dataplane is asked to let go
//
// Event-loop thread only. A session is owned by SessionTable; callbacks hold it weakly.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/dataplane_link/dataplane_commands.hpp"
#include "controlplane/model/lease.hpp"
#include "controlplane/model/link_actions.hpp"
#include "controlplane/ppp/link.hpp"
#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/resume/records.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/call_ids.hpp"
#include "controlplane/subscriber/dataplane_session.hpp"
#include "controlplane/subscriber/refusal_log.hpp"
#include "controlplane/subscriber/services.hpp"
#include "controlplane/subscriber/session_events.hpp"
#include "controlplane/subscriber/views.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"

namespace pns::subscriber {

class Session : public std::enable_shared_from_this<Session> {
 public:
  enum class State : std::uint8_t { kDialling, kInstalling, kUp, kRemoving };

  // The call as both ends know it.
  struct Call {
    SessionId id{};
    SlotId slot{};
    model::CallKind kind = model::CallKind::kSubscriber;
    ConnectionId connection{};
    std::uint32_t offer = 0;   // of the connection's machine; 0: not offered by the peer
    std::uint64_t placed = 0;  // the placer's number; 0: not placed by us
    OurCallId our_call_id{};
    PeerCallId peer_call_id{};  // of a placed call: once it was answered
    Ipv4Address local{};
    Ipv4Address peer{};
    TimePoint started{};
  };

  // The owner of the call, which outlives the session.
  class Owner {
   public:
    Owner() = default;
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    virtual ~Owner() = default;
    // The link is over: the peer is told after this time, which leaves its PPP the time to read our
    // last frame.
    [[nodiscard]] virtual Duration farewell_time() const = 0;
    // That time has passed: the call must end with end_reason().
    virtual void on_farewell_over(Session& session) = 0;
  };

  // Gives accounts their addresses.
  class Leases {
   public:
    using Result = std::expected<model::Lease, EndReason>;
    using Done = std::function<void(Result)>;
    Leases() = default;
    Leases(const Leases&) = delete;
    Leases& operator=(const Leases&) = delete;
    virtual ~Leases() = default;
    // The account of `grant` has logged in on a session that has no lease. `done` is called once,
    // perhaps before this returns, and not after the session has ended. Error: why it gets none.
    virtual void ask(Session& session, const model::AuthGrant& grant, Done done) = 0;
  };

  // Parts that all sessions share.
  struct Context {
    Services& services;
    Owner& owner;
    Leases& leases;
    SessionEvents& events;
    CallIds& call_ids;
    RefusalLog& refusal_log;
    std::shared_ptr<const ppp::LinkSettings> link_settings;
  };

  // A new call, before the dataplane knows it.
  Session(const Context& context, const Call& call, State state);
  // An open call that an earlier process left: the dataplane has it, and the record says the rest.
  Session(const Context& context, const Call& call, const resume::StoredSession& stored);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // ---- Facts.
  [[nodiscard]] const Call& call() const noexcept { return call_; }
  [[nodiscard]] SessionId id() const noexcept { return call_.id; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] std::uint16_t worker() const noexcept { return worker_; }
  [[nodiscard]] model::LinkPhase phase() const noexcept { return phase_; }
  // The authenticated account; empty until then.
  [[nodiscard]] const std::string& user() const noexcept { return user_; }
  // The name that the peer gave last, proved or not.
  [[nodiscard]] const std::string& claimed_user() const noexcept {
    return claimed_user_ ? *claimed_user_ : user_;
  }
  [[nodiscard]] const std::optional<model::Lease>& lease() const noexcept { return lease_; }
  // The networks behind the subscriber: those of the families that flow now.
  [[nodiscard]] Networks networks_in_force() const;
  // Null until the dataplane serves the call.
  [[nodiscard]] const ppp::Link* link() const noexcept { return link_.get(); }
  // Why the link is over; kNone: it is not.
  [[nodiscard]] EndReason end_reason() const noexcept { return end_reason_; }
  // The call ended while the dataplane installed it, for this reason; empty: it did not. kNone: the
  // reason is counted already.
  [[nodiscard]] std::optional<EndReason> withdrawn() const noexcept { return withdrawn_; }
  // The latest of: start of the call, a change of the link's phase or of its addresses.
  [[nodiscard]] TimePoint changed() const noexcept { return std::max(call_.started, changed_); }
  [[nodiscard]] const std::optional<TimePoint>& opened() const noexcept { return opened_; }
  // The peer has sent GRE of this call before the call ended.
  [[nodiscard]] bool carried_gre() const noexcept {
    return carried_gre_ || (state_ == State::kUp && dataplane_.carried_gre());
  }
  [[nodiscard]] const DataplaneSession& dataplane() const noexcept { return dataplane_; }
  [[nodiscard]] SessionView view() const;
  // The record for a successor process; empty: it cannot resume the link.
  [[nodiscard]] std::optional<resume::StoredSession> stored_record() const;

  // ---- Life.
  // The answer to a placed call names the peer's Call ID.
  void set_peer_call_id(PeerCallId id) noexcept { call_.peer_call_id = id; }
  // The dataplane was told to install it.
  void begin_install();
  void on_installed(std::uint32_t generation);
  void withdraw(EndReason reason) noexcept { withdrawn_ = reason; }
  // `generation`: as session memory says, when the dataplane did not answer the installation.
  void begin_removal(std::optional<std::uint32_t> generation = std::nullopt);
  // The dataplane's workers have changed: the worker that owns the call now.
  void set_worker(std::uint16_t worker) noexcept { worker_ = worker; }

  // ---- The link. Each does nothing unless the state is up.
  // PPP starts. Frames that overtook the message which started it are handled now.
  void start_link();
  void on_frame(Bytes frame);
  // Asks the peer for a sign of life.
  void probe();
  // The link sends no Echo-Request of its own before `until`.
  void postpone_echo(TimePoint until);
  // No encrypted packet opens: the link negotiates CCP anew, or ends.
  void on_path_dead(bool opened);
  // Ends PPP, then the call, for this reason.
  void close_link(EndReason reason);
  // PPP cannot go on: the call ends for this reason, after the farewell time.
  void fail(EndReason reason);
  // Ends the call now, without another word of PPP.
  void replace();
  // The dataplane has attached: commands that it never saw are said again.
  void reconcile();
  // WAN-Error-Notify: totals since the call was connected. Returns those before.
  model::WanErrors set_wan_errors(const model::WanErrors& totals);

 private:
  void apply(const model::LinkActions& actions);
  void perform(const model::SendFrame& action);
  void perform(const model::ConfigureLink& action);
  void perform(const model::ArmMppe& action);
  void perform(const model::DisarmMppe& action);
  void perform(const model::OpenIpv4& action);
  void perform(const model::CloseIpv4& action);
  void perform(const model::OpenIpv6& action);
  void perform(const model::CloseIpv6& action);
  void perform(const model::Authenticate& action);
  void perform(const model::PhaseChanged& action);
  void perform(const model::LinkEnded& action);
  void note_resumption(const model::LinkActions& actions);
  void note_networks();
  void on_auth_result(const model::AuthResult& result);
  void take_account(const model::AuthGrant& grant);
  void on_lease(const model::AuthResult& result, Leases::Result lease);
  [[nodiscard]] model::NetworkParameters network_parameters() const;
  void reach(model::SetupStage stage);
  void arm_timer();
  void on_timer();
  [[nodiscard]] TimePoint now() const { return context_.services.loop.now(); }

  const Context& context_;
  Call call_;
  State state_;
  bool link_started_ = false;  // PPP runs
  std::uint16_t worker_ = 0;
  DataplaneSession dataplane_;
  std::unique_ptr<ppp::Link> link_;
  control::Timer timer_;              // of the link and of open_by_, then of the farewell
  std::optional<TimePoint> open_by_;  // until the link was open for the first time
  model::LinkPhase phase_ = model::LinkPhase::kDead;
  model::SetupStage stage_ = model::SetupStage::kOffered;
  ppp::Link::Resume resumption_ = ppp::Link::Resume::kNot;  // as the listeners were told last
  EndReason end_reason_ = EndReason::kNone;
  std::optional<EndReason> withdrawn_;
  bool carried_gre_ = false;                   // once the call has ended
  std::unique_ptr<std::string> claimed_user_;  // as the peer says; null: as user_
  std::string user_;                           // of lease_ too
  std::optional<model::Lease> lease_;
  std::optional<std::uint64_t> rate_bits_per_second_;
  std::uint16_t peer_mru_ = 1500;
  std::uint16_t mtu_ = 0;
  std::optional<TimePoint> opened_;
  TimePoint changed_{};
  std::unique_ptr<model::WanErrors> wan_errors_;  // null: no PAC told of any
  // Frames of an incoming call that overtook its Incoming-Call-Connected: GRE is faster than TCP.
  std::vector<std::vector<std::byte>> early_;
};

}  // namespace pns::subscriber
