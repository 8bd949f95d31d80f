// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/calls.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/pptp/codes.hpp"
#include "controlplane/pptp/meant_call.hpp"

namespace pns::pptp {
namespace {

namespace pptp_wire = wire::pptp;
using model::CallKind;

LineErrors& line_errors(Call& call) {
  if (!call.line_errors) call.line_errors = std::make_unique<LineErrors>();
  return *call.line_errors;
}

// Where our own side is asked, and not the peer.
bool waits_for_us(CallState state) noexcept {
  return state == CallState::kOffered || state == CallState::kWaitCsAns;
}

// Empty: nothing of it need be known after a restart.
std::optional<KnownCall> known_call(const Call& call) {
  if (!call.our_call_id && !waits_for_us(call.state)) return std::nullopt;
  return KnownCall{.number = call.number,
                   .our_call_id = call.our_call_id,
                   .peer_call_id = call.peer_call_id,
                   .serial_number = call.serial_number,
                   .kind = call.kind,
                   .state = call.state,
                   .peer_window = call.peer_window,
                   .maximum_bps = call.maximum_bps};
}

}  // namespace

void Calls::restore(const std::vector<KnownCall>& known, TimePoint now) {
  for (const KnownCall& stored : known) table_.skip_numbers(stored.number);
  for (const KnownCall& stored : known) {
    Call call;
    // Stored numbers stay; a damaged one must not stand for two calls.
    call.number =
        stored.number == 0 || table_.find(stored.number) ? table_.take_number() : stored.number;
    call.kind = stored.kind;
    call.state = stored.state;
    call.our_call_id = stored.our_call_id;
    call.peer_call_id = stored.peer_call_id;
    call.serial_number = stored.serial_number;
    call.peer_window = stored.peer_window;
    call.maximum_bps = stored.maximum_bps;
    call.reported = true;
    if (stored.is_offer())
      call.answer_by = now + settings_->answer_timeout;
    else if (stored.state != CallState::kEstablished)
      call.answer_by = now + settings_->reply_timeout;
    (void)table_.add(std::move(call));
  }
}

Calls::Actions Calls::accept(std::uint32_t offer, OurCallId our_call_id, TimePoint now) {
  Actions out;
  Call* call = table_.find(offer);
  if (call == nullptr || !waits_for_us(call->state)) {
    out.push_back(model::EndCall{our_call_id, EndReason::peer_cleared_call});
    return out;
  }
  table_.set_our_call_id(*call, our_call_id);
  step(offer, CallEvent::kAnswer, {.now = now}, out);
  return out;
}

Calls::Actions Calls::refuse(std::uint32_t offer, EndReason reason, TimePoint now) {
  Actions out;
  step(offer, CallEvent::kFail, {.reason = reason, .now = now}, out);
  return out;
}

Calls::Actions Calls::place(OurCallId our_call_id, const OutgoingCall& call, TimePoint now) {
  return ask(CallKind::kPlaced, our_call_id,
             request_of(call, our_call_id, next_serial_number_, *settings_), now);
}

Calls::Actions Calls::announce(OurCallId our_call_id, const IncomingCall& call, TimePoint now) {
  return ask(CallKind::kAnnounced, our_call_id, request_of(call, our_call_id, next_serial_number_),
             now);
}

Calls::Actions Calls::ask(CallKind kind, OurCallId our_call_id, pptp_wire::Message request,
                          TimePoint now) {
  Actions out;
  if (is_full()) {
    out.push_back(model::EndCall{our_call_id, EndReason::too_many_calls});
    return out;
  }
  Call call;
  call.number = table_.take_number();
  call.kind = kind;
  call.our_call_id = our_call_id;
  call.serial_number = next_serial_number_++;
  const std::uint32_t number = table_.add(std::move(call)).number;
  step(number, CallEvent::kOpen, {.now = now, .message = &request}, out);
  return out;
}

Calls::Actions Calls::end(OurCallId our_call_id, EndReason reason, const CallStatistics& statistics,
                          TimePoint now) {
  Actions out;
  if (const Call* call = table_.find_ours(our_call_id))
    step(call->number, CallEvent::kTerminate,
         {.reason = reason, .now = now, .statistics = statistics}, out);
  return out;
}

Calls::Actions Calls::report_wan_errors(OurCallId our_call_id, const model::WanErrors& totals,
                                        TimePoint now) {
  Actions out;
  Call* call = settings_->wan_error_notify ? table_.find_ours(our_call_id) : nullptr;
  if (call == nullptr || model::we_are_pns(call->kind) || call->state != CallState::kEstablished ||
      totals == line_errors(*call).sent ||
      (call->line_errors->sent_at &&
       now < *call->line_errors->sent_at + settings_->wan_error_interval))
    return out;
  call->line_errors->sent = totals;
  call->line_errors->sent_at = now;
  send(out, wan_error_notify(*call, totals));
  return out;
}

// ---- A call's machine (§3.2.3, §3.2.4)

bool Calls::step(std::uint32_t number, CallEvent event, const Cause& cause, Actions& out) {
  Call* call = table_.find(number);
  if (call == nullptr) return false;
  const auto* transition = machine_of(call->kind).find(call->state, event);
  if (transition == nullptr || !transition->legal) return false;
  if (call->state != transition->next) {
    table_.set_state(*call, transition->next);
    if (waits_for_us(call->state))
      table_.set_answer_by(*call, cause.now + settings_->answer_timeout);
    else if (call->state != CallState::kEstablished && call->state != CallState::kIdle)
      table_.set_answer_by(*call, cause.now + settings_->reply_timeout);
    else
      table_.set_answer_by(*call, std::nullopt);
  }
  const auto has = [transition](CallAction action) {
    return std::ranges::find(transition->actions, action) != transition->actions.end();
  };
  for (const CallAction action : transition->actions) {
    // A refused call has its reason in RefuseCall: a call ends once.
    if (action == CallAction::kWithdraw)
      out.push_back(
          model::WithdrawOffer{number, has(CallAction::kRefuse) ? EndReason::kNone : cause.reason});
    else
      perform(*call, action, cause, out);
  }
  if (transition->next == CallState::kIdle) table_.remove(number);
  return has(CallAction::kSuspect);
}

void Calls::perform(Call& call, CallAction action, const Cause& cause, Actions& out) {
  switch (action) {
    case CallAction::kNone:
    case CallAction::kWithdraw:
    case CallAction::kSuspect:
      return;
    case CallAction::kOffer: {
      if (const auto* request = std::get_if<pptp_wire::OutgoingCallRequest>(cause.message))
        call.peer_window = request->packet_recv_window_size;
      out.push_back(offer_of(call));
      return;
    }
    case CallAction::kSendRequest:
      return send(out, *cause.message);
    case CallAction::kSendReply:
      return send(out, accepting_reply(call, *settings_));
    case CallAction::kRefuse:
      ++counters_.calls_refused;
      send(out, refusing_reply(call, cause.reason));
      out.push_back(model::RefuseCall{cause.reason});
      return;
    case CallAction::kSendConnected:
      return send(out, connected_message(call, *settings_));
    case CallAction::kSendClearRequest:
      return send(out, clear_request(call));
    case CallAction::kSendDisconnectNotify:
      return send(out, disconnect_notify(call, cause.reason, cause.statistics));
    case CallAction::kLearn:
      if (const auto id = peer_call_id_in(*cause.message)) table_.set_peer_call_id(call, *id);
      return;
    case CallAction::kConnect:
      out.push_back(connection_of(call, *cause.message));
      return;
    case CallAction::kEnd:
      out.push_back(
          model::EndCall{call.our_call_id.value_or(OurCallId(0)), cause.reason, cause.codes});
      return;
    case CallAction::kIgnore:
      ++counters_.messages_ignored;
      return;
  }
}

// ---- Messages of the peer

void Calls::on_request(Call call, std::uint16_t call_id, const Cause& cause, Actions& out) {
  table_.forget_gone(PeerCallId(call_id));
  call.number = table_.take_number();
  call.peer_call_id = PeerCallId(call_id);
  Cause with_reason = cause;
  with_reason.reason = EndReason::kNone;
  // §3.2.2: a Call ID names one call between two peers, answered or not.
  if (table_.find_theirs(PeerCallId(call_id)) != nullptr)
    with_reason.reason = EndReason::call_id_in_use;
  else if (is_full())
    with_reason.reason = EndReason::too_many_calls;
  else if (call.kind == CallKind::kIncoming && !settings_->accept_incoming_calls)
    with_reason.reason = EndReason::incoming_call_refused;
  const std::uint32_t number = table_.add(std::move(call)).number;
  step(number,
       with_reason.reason == EndReason::kNone ? CallEvent::kRequest : CallEvent::kRequestBad,
       with_reason, out);
}

// Bearer, framing, minimum speed and phone number mean nothing to a tunnel: never a reason.
void Calls::on(const pptp_wire::OutgoingCallRequest& request, const Cause& cause, Actions& out) {
  Call call;
  call.kind = CallKind::kSubscriber;
  call.serial_number = request.call_serial_number;
  call.maximum_bps = request.maximum_bps;
  on_request(std::move(call), request.call_id, cause, out);
}

void Calls::on(const pptp_wire::IncomingCallRequest& request, const Cause& cause, Actions& out) {
  Call call;
  call.kind = CallKind::kIncoming;
  call.serial_number = request.call_serial_number;
  on_request(std::move(call), request.call_id, cause, out);
}

void Calls::on_reply(CallKind kind, OurCallId id, PeerCallId peer_call_id, bool accepting,
                     const Cause& cause, Actions& out) {
  const Call* call = replied_call(table_, kind, id);
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  Cause refused = cause;
  refused.reason = EndReason::call_refused_by_peer;
  if (!accepting) {
    step(call->number, CallEvent::kReplyBad, refused, out);
    return;
  }
  // §3.2.2 again: a second call under one id could not be told from the first.
  const bool in_use = table_.find_theirs(peer_call_id, [number = call->number](const Call& c) {
    return c.number != number;
  }) != nullptr;
  if (in_use && call->state == CallState::kWaitReply) {
    refused.reason = EndReason::call_id_in_use;
    step(call->number, CallEvent::kTerminate, refused, out);
    return;
  }
  step(call->number, CallEvent::kReply, cause, out);
}

void Calls::on(const pptp_wire::OutgoingCallReply& reply, const Cause& cause, Actions& out) {
  Cause with_codes = cause;
  with_codes.codes = {reply.result_code, reply.error_code, reply.cause_code};
  on_reply(CallKind::kPlaced, OurCallId(reply.peers_call_id), PeerCallId(reply.call_id),
           is_success(reply.result_code), with_codes, out);
}

void Calls::on(const pptp_wire::IncomingCallReply& reply, const Cause& cause, Actions& out) {
  Cause with_codes = cause;
  with_codes.codes = {reply.result_code, reply.error_code, 0};
  on_reply(CallKind::kAnnounced, OurCallId(reply.peers_call_id), PeerCallId(reply.call_id),
           is_success(reply.result_code), with_codes, out);
}

void Calls::on(const pptp_wire::IncomingCallConnected& connected, const Cause& cause,
               Actions& out) {
  const Call* call = connected_call(table_, connected);
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  step(call->number, CallEvent::kConnected, cause, out);
}

void Calls::on(const pptp_wire::CallClearRequest& request, const Cause& cause, Actions& out) {
  const auto [call, by_another_id] = cleared_call(table_, request);
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  if (by_another_id) ++counters_.clear_with_wrong_call_id;
  Cause cleared = cause;
  cleared.reason = EndReason::peer_cleared_call;
  step(call->number, CallEvent::kClear, cleared, out);
}

void Calls::on(const pptp_wire::CallDisconnectNotify& notify, const Cause& cause, Actions& out) {
  const Call* call = disconnected_call(table_, notify);
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  Cause disconnected = cause;
  disconnected.reason = EndReason::peer_call_disconnected;
  disconnected.codes = {notify.result_code, notify.error_code, notify.cause_code};
  step(call->number, CallEvent::kDisconnect, disconnected, out);
}

void Calls::on(const pptp_wire::WanErrorNotify& notify, const Cause&, Actions& out) {
  ++counters_.wan_error_notifies;
  // The id that the PNS assigned (§2.14).
  Call* call = table_.find_either(notify.peers_call_id, false);
  if (call == nullptr || !call->our_call_id) {
    ++counters_.messages_ignored;
    return;
  }
  const model::WanErrors totals = totals_of(notify);
  LineErrors& known = line_errors(*call);
  if (totals == known.received) return;
  known.received = totals;
  out.push_back(model::ReportWanErrors{*call->our_call_id, totals});
}

// The ACCMs concern asynchronous framing, which a tunnel has not (§2.15).
void Calls::on(const pptp_wire::SetLinkInfo& info, const Cause&, Actions&) {
  ++counters_.set_link_infos;
  Call* call = table_.find_either(info.peers_call_id, false);
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  call->link_info = {info.send_accm, info.receive_accm};
}

// ---- Events from outside

void Calls::on_message(const Cause& cause, Actions& out) {
  std::visit([&](const auto& message) { on(message, cause, out); }, *cause.message);
}

void Calls::on_all(CallEvent event, const Cause& cause, Actions& out) {
  for (const std::uint32_t number : table_.numbers()) step(number, event, cause, out);
}

std::optional<EndReason> Calls::on_timeout(std::uint32_t number, TimePoint now, Actions& out) {
  const Call* const call = table_.find(number);
  if (call == nullptr) return std::nullopt;
  const EndReason reason =
      waits_for_us(call->state) ? EndReason::dataplane_unavailable : EndReason::call_reply_timeout;
  if (!step(number, CallEvent::kTimeout, {.reason = reason, .now = now}, out)) return std::nullopt;
  return reason;
}

// ---- What is known

std::vector<KnownCall> Calls::known() const {
  std::vector<KnownCall> out;
  for (const std::uint32_t number : table_.numbers())
    if (auto call = known_call(*table_.find(number))) out.push_back(*call);
  return out;
}

std::vector<Calls::Change> Calls::take_changes() {
  const auto changed = table_.take_changes();
  std::vector<Change> out;
  out.reserve(changed.size());
  for (const auto& [number, reported] : changed) {
    if (const Call* const call = std::as_const(table_).find(number))
      out.push_back({number, known_call(*call)});
    else if (reported)
      out.push_back({number, std::nullopt});
  }
  return out;
}

bool Calls::awaits_answer(std::uint32_t offer) const noexcept {
  const Call* const call = table_.find(offer);
  return call != nullptr && waits_for_us(call->state);
}

Calls::Actions Calls::offers() const {
  Actions out;
  for (const std::uint32_t number : table_.numbers()) {
    const Call& call = *table_.find(number);
    if (!call.our_call_id && waits_for_us(call.state)) out.push_back(offer_of(call));
  }
  return out;
}

}  // namespace pns::pptp
