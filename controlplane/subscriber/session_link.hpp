// SPDX-License-Identifier: BSD-3-Clause
//
// SessionLink: the PPP link of a session. It gives the link its frames and its time, and carries
// out what the link asks for: frames and commands to the dataplane, the question to AAA, the lease.
// The link decides, this acts.
//
// Verbs:
//   close   ends PPP with Terminate-Request, then the call
//   fail    PPP cannot go on: the call ends after the farewell time
//   replace ends the call now, without another word of PPP
//
// Event-loop thread only. A part of a Session, which it keeps alive while a question is out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "controlplane/model/link_actions.hpp"
#include "controlplane/model/statistics.hpp"
#include "controlplane/ppp/link.hpp"
#include "controlplane/resume/records.hpp"
#include "controlplane/runtime/timer_queue.hpp"
#include "controlplane/subscriber/dataplane_session.hpp"
#include "controlplane/subscriber/session_account.hpp"
#include "controlplane/subscriber/session_context.hpp"
#include "pns/base/bytes.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/networks.hpp"
#include "pns/base/time.hpp"

namespace pns::subscriber {

class Session;

class SessionLink {
 public:
  // `session` owns this.
  SessionLink(const SessionContext& context, Session& session);
  SessionLink(const SessionLink&) = delete;
  SessionLink& operator=(const SessionLink&) = delete;
  ~SessionLink();

  // ---- Life.
  // The dataplane serves the call: there is a link, which waits for start().
  void install();
  // An open link that an earlier process left.
  void restore(const resume::StoredSession& stored);
  // The call has ended.
  void stop() noexcept { timer_.cancel(); }

  // ---- Each of these does nothing unless the session is up.
  // PPP starts. Frames that overtook the message which started it are handled now.
  void start();
  void on_frame(Bytes frame);
  // Asks the peer for a sign of life.
  void probe();
  // The link sends no Echo-Request of its own before `until`.
  void postpone_echo(TimePoint until);
  // No encrypted packet opens: the link negotiates CCP anew, or ends.
  void on_path_dead(bool opened);
  // The session time is over, and the peer must log in again: a success gives new conditions, and
  // anything else ends the session. True: it is asked, or was before. False: the link cannot ask.
  [[nodiscard]] bool log_in_again();
  void close(EndReason reason);
  void fail(EndReason reason);
  // Class of the account from now on, unchanged and in order.
  void set_classes(const std::vector<std::vector<std::byte>>& classes);
  // The service was changed while the link is up: the store and accounting learn of it.
  void report_change();
  // Whether the dataplane has every filter that the change names.
  [[nodiscard]] bool has_filters(const model::ServiceChange& change) const;
  // Carries out the rates and filters of a change, for a session that has logged in; the rest of it
  // is not looked at. `done(true)`: the dataplane has them, and they hold from the next burst of
  // packets on. False: everything is as before. A filter that the dataplane lacks is refused.
  void change_service(const model::ServiceChange& change, DataplaneSession::Held done);
  // The dataplane has attached: commands that it never saw are said again.
  void reconcile();
  // In every state.
  void replace();

  // ---- Facts.
  // Null until the dataplane serves the call.
  [[nodiscard]] const ppp::Link* machine() const noexcept { return machine_.get(); }
  [[nodiscard]] const SessionAccount& account() const noexcept { return account_; }
  [[nodiscard]] model::LinkPhase phase() const noexcept { return phase_; }
  // The networks behind the subscriber: those of the families that flow now.
  [[nodiscard]] Networks networks_in_force() const;
  // Why the link is over; kNone: it is not.
  [[nodiscard]] EndReason end_reason() const noexcept { return end_reason_; }
  // When its phase or its addresses have changed last.
  [[nodiscard]] TimePoint changed() const noexcept { return changed_; }
  // When it was open for the first time.
  [[nodiscard]] const std::optional<TimePoint>& opened() const noexcept { return opened_; }
  // Octets of inner IPv4, as the dataplane was told; 0: it was not.
  [[nodiscard]] std::uint16_t mtu() const noexcept { return mtu_; }

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
  void perform(const model::Ipv6BindingsChanged& action);
  void perform(const model::Dhcpv6Handled& action);
  void perform(const model::Authenticate& action);
  void perform(const model::PhaseChanged& action);
  void perform(const model::LinkEnded& action);
  void note_resumption(const model::LinkActions& actions);
  void note_networks();
  // The reason: the dataplane lacks a filter or a group that the account names.
  [[nodiscard]] std::expected<contract::SessionService, EndReason> service_of(
      const model::ServiceRates& rates, const model::ServiceFilters& filters) const;
  void take_back(const model::ServiceRates& rates, const model::ServiceFilters& filters,
                 const model::ServiceRates& rates_before,
                 const model::ServiceFilters& filters_before);
  void repeat_service();
  void on_auth_result(const model::AuthResult& result);
  void take_account(const model::AuthGrant& grant);
  void take_conditions(const model::AuthGrant& grant);
  void refuse_service(const model::AuthGrant& grant, EndReason reason);
  void on_lease(const model::AuthResult& result, SessionLeases::Result lease);
  void reach(model::SetupStage stage);
  void arm_timer();
  void on_timer();
  [[nodiscard]] bool is_up() const noexcept;
  [[nodiscard]] TimePoint now() const { return context_.services.loop.now(); }

  const SessionContext& context_;
  Session& session_;
  std::unique_ptr<ppp::Link> machine_;
  control::Timer timer_;              // of the link and of open_by_, then of the farewell
  std::optional<TimePoint> open_by_;  // until the link was open for the first time
  SessionAccount account_;
  std::optional<TimePoint> opened_;
  TimePoint changed_{};
  std::uint16_t peer_mru_ = 1500;
  std::uint16_t mtu_ = 0;
  bool started_ = false;  // PPP runs
  model::LinkPhase phase_ = model::LinkPhase::kDead;
  model::SetupStage stage_ = model::SetupStage::kOffered;
  ppp::Link::Resume resumption_ = ppp::Link::Resume::kNot;  // as the listeners were told last
  EndReason end_reason_ = EndReason::kNone;
  // Frames of an incoming call that overtook its Incoming-Call-Connected: GRE is faster than TCP.
  // Null: there are none.
  std::unique_ptr<std::vector<std::vector<std::byte>>> early_;
};

}  // namespace pns::subscriber
