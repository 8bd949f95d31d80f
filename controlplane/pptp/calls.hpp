// SPDX-License-Identifier: BSD-3-Clause
//
// Calls: the calls of one control connection, of every kind side by side (RFC 2637 §3.2): a
// subscriber that dials us, a PAC that announces a call to us, a call that we place, a call that we
// announce. It runs the machine of the call that a message means (meant_call.hpp), by the tables of
// machines.hpp, and sends the messages of call_messages.hpp. A part of ControlConnection, which
// decides whether the connection is up. Sans-I/O; one thread (the event loop); memory is bounded by
// maximum_calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/model/connection_actions.hpp"
#include "controlplane/pptp/call.hpp"
#include "controlplane/pptp/call_messages.hpp"
#include "controlplane/pptp/call_table.hpp"
#include "controlplane/pptp/connection_settings.hpp"
#include "controlplane/pptp/machines.hpp"
#include "pns/base/end_reason.hpp"
#include "pns/base/ids.hpp"
#include "pns/base/time.hpp"
#include "pns/wire/pptp.hpp"

namespace pns::pptp {

// Counted by Calls.
struct CallCounters {
  std::uint64_t messages_ignored = 0;          // unasked replies, unknown calls, repeated answers
  std::uint64_t wan_error_notifies = 0;        // received; RFC 2637 §2.14
  std::uint64_t set_link_infos = 0;            // §2.15
  std::uint64_t calls_refused = 0;             // by us
  std::uint64_t clear_with_wrong_call_id = 0;  // taken for the only call there is
};

// The facts of an event for the actions of its cell.
struct Cause {
  EndReason reason = EndReason::kNone;
  TimePoint now{};
  const wire::pptp::Message* message = nullptr;  // received, or to be sent
  CallStatistics statistics{};
  model::PeerCodes codes{};
};

class Calls {
 public:
  using Actions = model::ConnectionActions;

  // `settings` must outlive this.
  explicit Calls(const ConnectionSettings& settings) noexcept : settings_(&settings) {}

  // ---- Answers to OfferCall. An offer that was withdrawn meanwhile is no longer known: accept()
  // gives EndCall at once (so that nothing leaks), refuse() gives nothing. The codes that tell the
  // peer why follow from the reason (codes.hpp).
  [[nodiscard]] Actions accept(std::uint32_t offer, OurCallId our_call_id, TimePoint now);
  [[nodiscard]] Actions refuse(std::uint32_t offer, EndReason reason, TimePoint now);
  // Whether an OfferCall of this number waits for accept() or refuse().
  [[nodiscard]] bool awaits_answer(std::uint32_t offer) const noexcept;
  // OfferCall once more for each request of the peer that has no answer yet: for the process that
  // took this connection over.
  [[nodiscard]] Actions offers() const;

  // Ends a call that has a Call ID of ours: Call-Disconnect-Notify where we are the PAC,
  // Call-Clear-Request where we are the PNS, then EndCall.
  [[nodiscard]] Actions end(OurCallId our_call_id, EndReason reason,
                            const CallStatistics& statistics, TimePoint now);
  // WAN-Error-Notify with these totals, if it is enabled, we are the PAC of this established call,
  // they have grown since the last one, and that is wan_error_interval ago. Otherwise nothing.
  [[nodiscard]] Actions report_wan_errors(OurCallId our_call_id, const model::WanErrors& totals,
                                          TimePoint now);

  // Each call that has changed since take_changes(), as it is now; nothing of calls that came and
  // went in between.
  struct Change {
    std::uint32_t number = 0;
    std::optional<KnownCall> now{};  // none: the call is gone
  };

 private:
  // The connection alone knows whether it is established.
  friend class ControlConnection;

  // Those that an earlier process left.
  void restore(const std::vector<KnownCall>& known, TimePoint now);
  // A message that concerns calls; another one does nothing.
  void on_message(const Cause& cause, Actions& out);
  // The same event for every call.
  void on_all(CallEvent event, const Cause& cause, Actions& out);
  [[nodiscard]] Actions place(OurCallId our_call_id, const OutgoingCall& call, TimePoint now);
  [[nodiscard]] Actions announce(OurCallId our_call_id, const IncomingCall& call, TimePoint now);
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept { return table_.deadline(); }
  // Numbers of the calls that have waited too long, for on_timeout().
  [[nodiscard]] std::vector<std::uint32_t> late(TimePoint now) const { return table_.late(now); }
  // A reason: the peer does not answer, and the connection must close.
  [[nodiscard]] std::optional<EndReason> on_timeout(std::uint32_t number, TimePoint now,
                                                    Actions& out);
  [[nodiscard]] const CallTable& table() const noexcept { return table_; }
  [[nodiscard]] const CallCounters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::vector<KnownCall> known() const;  // by number
  [[nodiscard]] std::vector<Change> take_changes();

  // One event of a call's machine. True: the peer is suspected to be gone.
  bool step(std::uint32_t number, CallEvent event, const Cause& cause, Actions& out);
  void perform(Call& call, CallAction action, const Cause& cause, Actions& out);

  // Finds the call that a message means; then its step.
  void on(const wire::pptp::OutgoingCallRequest& request, const Cause& cause, Actions& out);
  void on(const wire::pptp::OutgoingCallReply& reply, const Cause& cause, Actions& out);
  void on(const wire::pptp::IncomingCallRequest& request, const Cause& cause, Actions& out);
  void on(const wire::pptp::IncomingCallReply& reply, const Cause& cause, Actions& out);
  void on(const wire::pptp::IncomingCallConnected& connected, const Cause& cause, Actions& out);
  void on(const wire::pptp::CallClearRequest& request, const Cause& cause, Actions& out);
  void on(const wire::pptp::CallDisconnectNotify& notify, const Cause& cause, Actions& out);
  void on(const wire::pptp::WanErrorNotify& notify, const Cause& cause, Actions& out);
  void on(const wire::pptp::SetLinkInfo& info, const Cause& cause, Actions& out);
  template <class NotOfCalls>
  void on(const NotOfCalls&, const Cause&, Actions&) {}
  // A request of the peer for a new call.
  void on_request(Call call, std::uint16_t call_id, const Cause& cause, Actions& out);
  // A Reply to a request of ours.
  void on_reply(model::CallKind kind, OurCallId id, PeerCallId peer_call_id, bool accepting,
                const Cause& cause, Actions& out);
  [[nodiscard]] bool is_full() const noexcept {
    return table_.calls().size() >= settings_->maximum_calls;
  }
  [[nodiscard]] Actions ask(model::CallKind kind, OurCallId our_call_id,
                            wire::pptp::Message request, TimePoint now);

  const ConnectionSettings* settings_;
  CallTable table_;
  CallCounters counters_;
  std::uint16_t next_serial_number_ = 1;
};

}  // namespace pns::pptp
