// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/calls.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/pptp/codes.hpp"

namespace pns::pptp {
namespace {

namespace pptp_wire = wire::pptp;
using model::CallKind;

pptp_wire::Text<128> statistics_text(const CallStatistics& s) {
  if (s.rx_packets == 0 && s.rx_bytes == 0 && s.tx_packets == 0 && s.tx_bytes == 0) return {};
  return pptp_wire::to_text<128>(
      "rxp=" + std::to_string(s.rx_packets) + " rxb=" + std::to_string(s.rx_bytes) +
      " txp=" + std::to_string(s.tx_packets) + " txb=" + std::to_string(s.tx_bytes) +
      " s=" + std::to_string(s.duration.count()));
}

std::uint16_t length_of(const std::string& number) noexcept {
  return static_cast<std::uint16_t>(std::min<std::size_t>(number.size(), 64));
}

// The RFC's totals are 32 bits wide in a fixed order.
model::WanErrors totals_of(const pptp_wire::WanErrorNotify& n) noexcept {
  return {{n.crc_errors, n.framing_errors, n.hardware_overruns, n.buffer_overruns,
           n.time_out_errors, n.alignment_errors}};
}

LineErrors& line_errors(Call& call) {
  if (!call.line_errors) call.line_errors = std::make_unique<LineErrors>();
  return *call.line_errors;
}

// Where our own side is asked, and not the peer.
bool waits_for_us(CallState state) noexcept {
  return state == CallState::kOffered || state == CallState::kWaitCsAns;
}

model::OfferCall offer_of(const Call& call) noexcept {
  return {.offer = call.number,
          .peer_call_id = call.peer_call_id.value_or(PeerCallId(0)),
          .serial_number = call.serial_number,
          .peer_window = call.peer_window,
          .maximum_bps = call.maximum_bps,
          .kind = call.kind};
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
  return ask(
      CallKind::kPlaced, our_call_id,
      pptp_wire::OutgoingCallRequest{.call_id = our_call_id.value,
                                     .call_serial_number = next_serial_number_,
                                     .minimum_bps = call.minimum_bps,
                                     .maximum_bps = call.maximum_bps,
                                     .bearer_type = pptp_wire::kAnyBearer,
                                     .framing_type = pptp_wire::kAnyFraming,
                                     .packet_recv_window_size = settings_->receive_window,
                                     .phone_number_length = length_of(call.phone_number),
                                     .phone_number = pptp_wire::to_text<64>(call.phone_number),
                                     .subaddress = pptp_wire::to_text<64>(call.subaddress)},
      now);
}

Calls::Actions Calls::announce(OurCallId our_call_id, const IncomingCall& call, TimePoint now) {
  return ask(
      CallKind::kAnnounced, our_call_id,
      pptp_wire::IncomingCallRequest{.call_id = our_call_id.value,
                                     .call_serial_number = next_serial_number_,
                                     .call_bearer_type = pptp_wire::kBearerDigital,
                                     .dialed_number_length = length_of(call.dialed_number),
                                     .dialing_number_length = length_of(call.dialing_number),
                                     .dialed_number = pptp_wire::to_text<64>(call.dialed_number),
                                     .dialing_number = pptp_wire::to_text<64>(call.dialing_number),
                                     .subaddress = pptp_wire::to_text<64>(call.subaddress)},
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
  const auto& counts = totals.counts;
  send(out,
       pptp_wire::WanErrorNotify{.peers_call_id = call->peer_call_id.value_or(PeerCallId()).value,
                                 .crc_errors = counts[0],
                                 .framing_errors = counts[1],
                                 .hardware_overruns = counts[2],
                                 .buffer_overruns = counts[model::kBufferOverrun],
                                 .time_out_errors = counts[4],
                                 .alignment_errors = counts[5]});
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
  const auto our_call_id = call.our_call_id.value_or(OurCallId(0));  // 0 stands for none
  const auto peer_call_id = call.peer_call_id.value_or(PeerCallId(0));
  const bool incoming =
      call.kind == CallKind::kIncoming || call.kind == CallKind::kAnnounced;  // RFC: Incoming-Call
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
      if (incoming)
        return send(out,
                    pptp_wire::IncomingCallReply{
                        .call_id = our_call_id.value,
                        .peers_call_id = peer_call_id.value,
                        .result_code = std::to_underlying(pptp_wire::IncomingCallResult::kConnect),
                        .packet_recv_window_size = settings_->receive_window});
      return send(out,
                  pptp_wire::OutgoingCallReply{
                      .call_id = our_call_id.value,
                      .peers_call_id = peer_call_id.value,
                      .result_code = std::to_underlying(pptp_wire::OutgoingCallResult::kConnected),
                      .connect_speed = std::min(call.maximum_bps, settings_->connect_speed),
                      .packet_recv_window_size = settings_->receive_window});
    case CallAction::kRefuse:
      ++counters_.calls_refused;
      if (incoming) {
        const auto codes = incoming_reply_codes(cause.reason);
        send(out, pptp_wire::IncomingCallReply{.peers_call_id = peer_call_id.value,
                                               .result_code = std::to_underlying(codes.result),
                                               .error_code = std::to_underlying(codes.error)});
      } else {
        const auto codes = outgoing_reply_codes(cause.reason);
        send(out, pptp_wire::OutgoingCallReply{.peers_call_id = peer_call_id.value,
                                               .result_code = std::to_underlying(codes.result),
                                               .error_code = std::to_underlying(codes.error)});
      }
      out.push_back(model::RefuseCall{cause.reason});
      return;
    case CallAction::kSendConnected:
      return send(out, pptp_wire::IncomingCallConnected{
                           .peers_call_id = peer_call_id.value,
                           .connect_speed = settings_->connect_speed,
                           .packet_recv_window_size = settings_->receive_window,
                           .framing_type = pptp_wire::kFramingSync});
    case CallAction::kSendClearRequest:
      return send(out, pptp_wire::CallClearRequest{our_call_id.value});
    case CallAction::kSendDisconnectNotify: {
      const auto codes = disconnect_codes(cause.reason);
      return send(out, pptp_wire::CallDisconnectNotify{
                           .call_id = our_call_id.value,
                           .result_code = std::to_underlying(codes.result),
                           .error_code = std::to_underlying(codes.error),
                           .call_statistics = statistics_text(cause.statistics)});
    }
    case CallAction::kLearn:
      if (const auto* outgoing = std::get_if<pptp_wire::OutgoingCallReply>(cause.message))
        table_.set_peer_call_id(call, PeerCallId(outgoing->call_id));
      else if (const auto* reply = std::get_if<pptp_wire::IncomingCallReply>(cause.message))
        table_.set_peer_call_id(call, PeerCallId(reply->call_id));
      return;
    case CallAction::kConnect: {
      model::ConnectCall connect{.our_call_id = our_call_id, .peer_call_id = peer_call_id};
      if (const auto* outgoing = std::get_if<pptp_wire::OutgoingCallReply>(cause.message)) {
        connect.peer_window = outgoing->packet_recv_window_size;
        connect.connect_speed = outgoing->connect_speed;
      } else if (const auto* reply = std::get_if<pptp_wire::IncomingCallReply>(cause.message)) {
        connect.peer_window = reply->packet_recv_window_size;
      } else if (const auto* connected =
                     std::get_if<pptp_wire::IncomingCallConnected>(cause.message)) {
        connect.peer_window = connected->packet_recv_window_size;
        connect.connect_speed = connected->connect_speed;
      }
      out.push_back(connect);
      return;
    }
    case CallAction::kEnd:
      out.push_back(model::EndCall{our_call_id, cause.reason, cause.codes});
      return;
    case CallAction::kIgnore:
      ++counters_.messages_ignored;
      return;
  }
}

// ---- Which call a message means

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
  const Call* call = table_.find_ours(id, [kind](const Call& c) { return c.kind == kind; });
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
    {
      step(call->number, CallEvent::kTerminate, refused, out);
      return;
    }
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
  const Call* call = table_.find_ours(OurCallId(connected.peers_call_id),
                                      [](const Call& c) { return c.kind == CallKind::kIncoming; });
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  step(call->number, CallEvent::kConnected, cause, out);
}

void Calls::on(const pptp_wire::CallClearRequest& request, const Cause& cause, Actions& out) {
  // The field names the id that the PNS assigned (§2.12): the peer's, where we are the PAC.
  const Call* call = table_.find_theirs(PeerCallId(request.call_id),
                                        [](const Call& c) { return !model::we_are_pns(c.kind); });
  if (call == nullptr) {
    // NAT helpers rewrite Call IDs, and some peers put in another one. With one call that the peer
    // may clear there is no doubt which is meant; those of other connections are out of reach. But
    // pptp-linux clears a call that was refused, beside one that is up.
    const bool is_gone = table_.is_gone(PeerCallId(request.call_id));
    if (!is_gone && (call = table_.find_only_as_pac()) != nullptr)
      ++counters_.clear_with_wrong_call_id;
    else if (!is_gone)
      call = table_.find_either(request.call_id, true);
  }
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  Cause cleared = cause;
  cleared.reason = EndReason::peer_cleared_call;
  step(call->number, CallEvent::kClear, cleared, out);
}

void Calls::on(const pptp_wire::CallDisconnectNotify& notify, const Cause& cause, Actions& out) {
  // The field names the id that the PAC assigned (§2.13): the peer's where we are the PNS, ours
  // where we are the PAC. Some peers put in the other one.
  const Call* as_pns = table_.find_theirs(PeerCallId(notify.call_id),
                                          [](const Call& c) { return model::we_are_pns(c.kind); });
  const Call* as_pac = table_.find_ours(OurCallId(notify.call_id),
                                        [](const Call& c) { return !model::we_are_pns(c.kind); });
  const Call* call =
      as_pns == nullptr || (as_pac != nullptr && as_pac->number < as_pns->number) ? as_pac : as_pns;
  if (call == nullptr) call = table_.find_either(notify.call_id, false);
  // A call that we cleared before its Reply: nobody ever told us its PAC's id.
  if (call == nullptr) call = table_.find_cleared_before_reply();
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
