// SPDX-License-Identifier: BSD-3-Clause
//
// Session: the life of one call, and the parts that it has: SessionLink, which runs PPP, and
// DataplaneSession, which is the call as the dataplane has it.
//
// States: dialling (a call that we place, no answer yet) → installing (the dataplane is told) → up
// (PPP runs) → removing (the dataplane lets go). CallControl drives them; verbs:
//   withdraw      the call ended while the dataplane installed it
//   begin_removal the call has ended, the dataplane is asked to let go
//
// Event-loop thread only. A session is owned by SessionTable; callbacks hold it weakly.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "controlplane/model/call_kind.hpp"
#include "controlplane/model/session_conditions.hpp"
#include "controlplane/resume/records.hpp"
#include "controlplane/subscriber/dataplane_session.hpp"
#include "controlplane/subscriber/session_account.hpp"
#include "controlplane/subscriber/session_context.hpp"
#include "controlplane/subscriber/session_link.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/ip_address.hpp"
#include "pns/base/time.hpp"

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

  // A new call, before the dataplane knows it.
  Session(const SessionContext& context, const Call& call, State state);
  // An open call that an earlier process left: the dataplane has it, and the record says the rest.
  Session(const SessionContext& context, const Call& call, const resume::StoredSession& stored);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  // ---- Facts.
  [[nodiscard]] const Call& call() const noexcept { return call_; }
  [[nodiscard]] SessionId id() const noexcept { return call_.id; }
  [[nodiscard]] State state() const noexcept { return state_; }
  [[nodiscard]] std::uint16_t worker() const noexcept { return worker_; }
  [[nodiscard]] const SessionAccount& account() const noexcept { return link_.account(); }
  // Why the link is over; kNone: it is not.
  [[nodiscard]] EndReason end_reason() const noexcept { return link_.end_reason(); }
  // The call ended while the dataplane installed it, for this reason; empty: it did not. kNone: the
  // reason is counted already.
  [[nodiscard]] std::optional<EndReason> withdrawn() const noexcept { return withdrawn_; }
  // The latest of: start of the call, a change of the link's phase or of its addresses.
  [[nodiscard]] TimePoint changed() const noexcept {
    return std::max(call_.started, link_.changed());
  }
  // The peer has sent GRE of this call before the call ended.
  [[nodiscard]] bool carried_gre() const noexcept {
    return carried_gre_ || (state_ == State::kUp && dataplane_.carried_gre());
  }
  // Since the call was connected, as its PAC has told.
  [[nodiscard]] model::WanErrors wan_errors() const noexcept {
    return rare_ ? rare_->wan_errors : model::WanErrors();
  }

  // Its limits; null: it has none.
  [[nodiscard]] const model::SessionConditions* conditions() const noexcept {
    return rare_ && rare_->conditions ? &*rare_->conditions : nullptr;
  }

  // ---- Parts.
  [[nodiscard]] SessionLink& link() noexcept { return link_; }
  [[nodiscard]] const SessionLink& link() const noexcept { return link_; }
  [[nodiscard]] DataplaneSession& dataplane() noexcept { return dataplane_; }
  [[nodiscard]] const DataplaneSession& dataplane() const noexcept { return dataplane_; }

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
  // An account has logged in, or its limits have changed.
  void set_conditions(const model::SessionConditions& conditions);
  // WAN-Error-Notify: totals since the call was connected. Returns those before.
  model::WanErrors set_wan_errors(const model::WanErrors& totals);

 private:
  // Few sessions have any of it.
  struct Rare {
    model::WanErrors wan_errors;  // as a PAC has told
    std::optional<model::SessionConditions> conditions;
  };
  [[nodiscard]] Rare& rare();

  const SessionContext& context_;
  Call call_;
  State state_;
  bool carried_gre_ = false;  // once the call has ended
  std::uint16_t worker_ = 0;
  std::optional<EndReason> withdrawn_;
  DataplaneSession dataplane_;
  SessionLink link_;
  std::unique_ptr<Rare> rare_;  // null: all of it is empty
};

}  // namespace pns::subscriber
