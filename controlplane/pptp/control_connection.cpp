// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/control_connection.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/pptp/codes.hpp"

namespace pns::pptp {
namespace {

namespace pptp_wire = wire::pptp;
using model::CallKind;

constexpr std::uint32_t kAnyFraming = pptp_wire::kFramingAsync | pptp_wire::kFramingSync;
constexpr std::uint32_t kAnyBearer = pptp_wire::kBearerAnalog | pptp_wire::kBearerDigital;

template <class Enum>
constexpr std::uint8_t octet(Enum value) noexcept {
  return static_cast<std::uint8_t>(value);
}

void send(model::ConnectionActions& out, pptp_wire::Message message) {
  out.push_back(model::SendMessage{std::move(message)});
}

// RFC 2637 gives success as 1; some PACs send 0.
bool is_success(std::uint8_t result_code) noexcept { return result_code <= 1; }

// Major version 1: a Reply that names another speaks what we do not.
bool is_our_version(std::uint16_t protocol_version) noexcept {
  return protocol_version >> 8 == pptp_wire::kProtocolVersion >> 8;
}

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

// A Start-Control-Connection-Request or -Reply that says who we are (RFC 2637 §2.1, §2.2).
template <class Start>
Start introduced(Start start, const ConnectionSettings& settings) {
  start.framing_capabilities = kAnyFraming;
  start.bearer_capabilities = kAnyBearer;
  start.maximum_channels = settings.maximum_channels;
  start.firmware_revision = settings.firmware_revision;
  start.host_name = pptp_wire::to_text<64>(settings.host_name);
  start.vendor_name = pptp_wire::to_text<64>(settings.vendor_name);
  return start;
}

}  // namespace

ControlConnection::ControlConnection(SharedSettings settings, TimePoint now)
    : settings_(std::move(settings)),
      last_received_(now),
      state_deadline_(now + settings_->setup_timeout),
      silence_(settings_->echo_interval) {}

ControlConnection::ControlConnection(SharedSettings settings, const ConnectionSnapshot& snapshot,
                                     TimePoint now)
    : ControlConnection(std::move(settings), now) {
  machine_ = snapshot.originated ? &kOriginator : &kReceiver;
  state_ = State::kEstablished;
  next_echo_identifier_ = snapshot.next_echo_identifier;
  peer_host_name_ = snapshot.peer_host_name;
  peer_vendor_name_ = snapshot.peer_vendor_name;
  peer_firmware_revision_ = snapshot.peer_firmware_revision;
  for (const auto& known : snapshot.calls) calls_.skip_numbers(known.number);
  for (const auto& known : snapshot.calls) {
    Call call;
    // Stored numbers stay; a damaged one must not stand for two calls.
    call.number =
        known.number == 0 || calls_.find(known.number) ? calls_.take_number() : known.number;
    call.kind = known.kind;
    call.state = known.state;
    call.our_call_id = known.our_call_id;
    call.peer_call_id = known.peer_call_id;
    call.serial_number = known.serial_number;
    call.peer_window = known.peer_window;
    call.maximum_bps = known.maximum_bps;
    call.reported = true;
    if (known.is_offer())
      call.answer_by = now + settings_->answer_timeout;
    else if (known.state != CallState::kEstablished)
      call.answer_by = now + settings_->reply_timeout;
    (void)calls_.add(std::move(call));
  }
}

ControlConnection ControlConnection::originate(SharedSettings settings, TimePoint now) {
  ControlConnection connection(std::move(settings), now);
  connection.machine_ = &kOriginator;
  return connection;
}

// Connections that were taken over, or opened, in the same second must not send their Echo-Requests
// in the same second, nor ever after. Earlier than echo_interval does no harm; later would be
// against §3.1.4.
void ControlConnection::spread_echoes(std::uint32_t seed) noexcept {
  echo_random_ = seed == 0 ? 1 : seed;
  draw_silence();
}

void ControlConnection::draw_silence() noexcept {
  if (echo_random_ == 0) return;
  echo_random_ ^= echo_random_ << 13;  // xorshift32
  echo_random_ ^= echo_random_ >> 17;
  echo_random_ ^= echo_random_ << 5;
  const Duration step = settings_->echo_interval / 4 / 1024;
  silence_ = settings_->echo_interval - step * (echo_random_ >> 22);
}

// ---- From outside

model::ConnectionActions ControlConnection::open(TimePoint now) {
  Actions out;
  step(ConnectionEvent::kOpen, {.now = now}, out);
  return out;
}

model::ConnectionActions ControlConnection::on_message(const pptp_wire::Message& message,
                                                       TimePoint now) {
  Actions out;
  if (state_ == State::kClosed) return out;
  ++counters_.messages_received;
  if (!take_token(now)) {
    step(ConnectionEvent::kBadMessage, {.reason = EndReason::message_flood, .now = now}, out);
    return out;
  }
  // §3.1.4: any control message shows that the peer lives.
  last_received_ = now;
  echo_sent_.reset();
  const ConnectionEvent event = event_of(message);
  EndReason reason = reason_of(event);
  if (event == ConnectionEvent::kStartReplyBad && state_ == State::kWaitCtlReply)
    reason =
        is_our_version(std::get<pptp_wire::StartControlConnectionReply>(message).protocol_version)
            ? EndReason::start_refused
            : EndReason::bad_protocol_version;
  step(event, {.reason = reason, .now = now, .message = &message}, out);
  return out;
}

model::ConnectionActions ControlConnection::on_frame_error(pptp_wire::FrameError error,
                                                           TimePoint now) {
  Actions out;
  step(ConnectionEvent::kBadMessage, {.reason = pptp_wire::end_reason_of(error), .now = now}, out);
  return out;
}

model::ConnectionActions ControlConnection::on_tcp_closed(EndReason reason, TimePoint now) {
  Actions out;
  step(ConnectionEvent::kTcpClosed, {.reason = reason, .now = now}, out);
  return out;
}

model::ConnectionActions ControlConnection::on_collision(TimePoint now) {
  Actions out;
  step(ConnectionEvent::kCollision, {.reason = EndReason::collision_lost, .now = now}, out);
  return out;
}

model::ConnectionActions ControlConnection::on_call_accepted(std::uint32_t offer,
                                                             OurCallId our_call_id, TimePoint now) {
  Actions out;
  Call* call = calls_.find(offer);
  if (call == nullptr || !waits_for_us(call->state)) {
    out.push_back(model::EndCall{our_call_id, EndReason::peer_cleared_call});
    return out;
  }
  calls_.set_our_call_id(*call, our_call_id);
  step(offer, CallEvent::kAnswer, {.now = now}, out);
  return out;
}

model::ConnectionActions ControlConnection::on_call_refused(std::uint32_t offer, EndReason reason,
                                                            TimePoint now) {
  Actions out;
  step(offer, CallEvent::kFail, {.reason = reason, .now = now}, out);
  return out;
}

model::ConnectionActions ControlConnection::place_call(OurCallId our_call_id,
                                                       const OutgoingCall& call, TimePoint now) {
  return ask(
      CallKind::kPlaced, our_call_id,
      pptp_wire::OutgoingCallRequest{.call_id = our_call_id.value,
                                     .call_serial_number = next_serial_number_,
                                     .minimum_bps = call.minimum_bps,
                                     .maximum_bps = call.maximum_bps,
                                     .bearer_type = kAnyBearer,
                                     .framing_type = kAnyFraming,
                                     .packet_recv_window_size = settings_->receive_window,
                                     .phone_number_length = length_of(call.phone_number),
                                     .phone_number = pptp_wire::to_text<64>(call.phone_number),
                                     .subaddress = pptp_wire::to_text<64>(call.subaddress)},
      now);
}

model::ConnectionActions ControlConnection::announce_call(OurCallId our_call_id,
                                                          const IncomingCall& call, TimePoint now) {
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

model::ConnectionActions ControlConnection::ask(CallKind kind, OurCallId our_call_id,
                                                pptp_wire::Message request, TimePoint now) {
  Actions out;
  if (state_ != State::kEstablished || calls_.calls().size() >= settings_->maximum_calls) {
    out.push_back(model::EndCall{our_call_id, state_ != State::kEstablished
                                                  ? EndReason::internal_error
                                                  : EndReason::too_many_calls});
    return out;
  }
  Call call;
  call.number = calls_.take_number();
  call.kind = kind;
  call.our_call_id = our_call_id;
  call.serial_number = next_serial_number_++;
  const std::uint32_t number = calls_.add(std::move(call)).number;
  step(number, CallEvent::kOpen, {.now = now, .message = &request}, out);
  return out;
}

model::ConnectionActions ControlConnection::end_call(OurCallId our_call_id, EndReason reason,
                                                     const CallStatistics& statistics,
                                                     TimePoint now) {
  Actions out;
  if (const Call* call = calls_.find_ours(our_call_id))
    step(call->number, CallEvent::kTerminate,
         {.reason = reason, .now = now, .statistics = statistics}, out);
  return out;
}

model::ConnectionActions ControlConnection::report_wan_errors(OurCallId our_call_id,
                                                              const model::WanErrors& totals,
                                                              TimePoint now) {
  Actions out;
  Call* call = settings_->wan_error_notify ? calls_.find_ours(our_call_id) : nullptr;
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

model::ConnectionActions ControlConnection::stop(EndReason reason, TimePoint now) {
  Actions out;
  step(ConnectionEvent::kTerminate, {.reason = reason, .now = now}, out);
  return out;
}

// ---- Time

std::optional<TimePoint> ControlConnection::deadline() const {
  if (state_ == State::kClosed) return std::nullopt;
  if (state_ != State::kEstablished) return state_deadline_;
  TimePoint earliest =
      echo_sent_ ? *echo_sent_ + settings_->echo_timeout : last_received_ + silence_;
  return std::min(earliest, calls_.deadline().value_or(earliest));
}

model::ConnectionActions ControlConnection::on_deadline(TimePoint now) {
  Actions out;
  if (state_ != State::kEstablished) {
    if (state_ != State::kClosed && now >= state_deadline_)
      step(ConnectionEvent::kTimeout,
           {.reason = state_ == State::kWaitStopReply ? stop_reason_
                                                      : EndReason::connection_setup_timeout,
            .now = now},
           out);
    return out;
  }

  for (const std::uint32_t number : calls_.late(now)) {
    if (state_ != State::kEstablished) return out;
    const Call* call = calls_.find(number);
    if (call == nullptr) continue;
    step(number, CallEvent::kTimeout,
         {.reason = waits_for_us(call->state) ? EndReason::dataplane_unavailable
                                              : EndReason::call_reply_timeout,
          .now = now},
         out);
  }
  if (state_ != State::kEstablished) return out;

  if (echo_sent_) {
    if (now >= *echo_sent_ + settings_->echo_timeout)
      step(ConnectionEvent::kEchoTimeout,
           {.reason = EndReason::connection_echo_timeout, .now = now}, out);
  } else if (now >= last_received_ + silence_) {
    step(ConnectionEvent::kSilence, {.now = now}, out);
  }
  return out;
}

model::ConnectionActions ControlConnection::ask_for_echo(TimePoint now) {
  Actions out;
  step(ConnectionEvent::kSilence, {.now = now}, out);
  return out;
}

// ---- The connection's machine (§3.1.1, §3.1.2)

ConnectionEvent ControlConnection::event_of(const pptp_wire::Message& message) const noexcept {
  using enum pptp_wire::ControlMessageType;
  switch (pptp_wire::type_of(message)) {
    case kStartControlConnectionRequest: {
      // A version above ours is told ours and may go on; what is below 1.0 we do not speak.
      const auto& request = std::get<pptp_wire::StartControlConnectionRequest>(message);
      return request.protocol_version >= pptp_wire::kProtocolVersion
                 ? ConnectionEvent::kStartRequest
                 : ConnectionEvent::kStartRequestBad;
    }
    case kStartControlConnectionReply: {
      const auto& reply = std::get<pptp_wire::StartControlConnectionReply>(message);
      return is_success(reply.result_code) && is_our_version(reply.protocol_version)
                 ? ConnectionEvent::kStartReply
                 : ConnectionEvent::kStartReplyBad;
    }
    case kStopControlConnectionRequest:
      return ConnectionEvent::kStopRequest;
    case kStopControlConnectionReply:
      return ConnectionEvent::kStopReply;
    case kEchoRequest:
      return ConnectionEvent::kEchoRequest;
    case kEchoReply:
      return ConnectionEvent::kEchoReply;
    default:
      return ConnectionEvent::kCallMessage;
  }
}

// Why the connection closes, if this message makes it.
EndReason ControlConnection::reason_of(ConnectionEvent event) const noexcept {
  if (state_ == State::kWaitStopReply) return stop_reason_;
  if (state_ == State::kEstablished)
    return event == ConnectionEvent::kStopRequest ? EndReason::peer_stopped_connection
                                                  : EndReason::start_repeated;
  if (event == ConnectionEvent::kStartRequestBad && machine_ == &kReceiver)
    return EndReason::bad_protocol_version;
  if (event == ConnectionEvent::kStopRequest && state_ == State::kWaitCtlReply)
    return EndReason::peer_stopped_connection;
  return EndReason::message_out_of_order;
}

void ControlConnection::step(ConnectionEvent event, const Cause& cause, Actions& out) {
  const auto* transition = machine_->find(state_, event);
  if (transition == nullptr || !transition->legal) return;
  if (state_ != State::kEstablished && transition->next == State::kEstablished) established_ = true;
  state_ = transition->next;
  for (const ConnectionAction action : transition->actions) perform(action, cause, out);
}

void ControlConnection::perform(ConnectionAction action, const Cause& cause, Actions& out) {
  switch (action) {
    case ConnectionAction::kNone:
      return;
    case ConnectionAction::kLearnPeer: {
      const auto learn = [this](const auto& start) {
        peer_host_name_ = pptp_wire::text_of(start.host_name);
        peer_vendor_name_ = pptp_wire::text_of(start.vendor_name);
        peer_firmware_revision_ = start.firmware_revision;
      };
      if (const auto* request =
              std::get_if<pptp_wire::StartControlConnectionRequest>(cause.message))
        learn(*request);
      else if (const auto* reply =
                   std::get_if<pptp_wire::StartControlConnectionReply>(cause.message))
        learn(*reply);
      return;
    }
    case ConnectionAction::kSendStartRequest:
      state_deadline_ = cause.now + settings_->reply_timeout;
      return send(out, introduced(pptp_wire::StartControlConnectionRequest{}, *settings_));
    case ConnectionAction::kSendStartReply:
    case ConnectionAction::kRefuseStart: {
      auto result = pptp_wire::StartResult::kSuccess;
      if (action == ConnectionAction::kRefuseStart)
        result = cause.reason == EndReason::bad_protocol_version
                     ? pptp_wire::StartResult::kBadVersion
                     : pptp_wire::StartResult::kChannelExists;
      return send(out,
                  introduced(pptp_wire::StartControlConnectionReply{.result_code = octet(result)},
                             *settings_));
    }
    case ConnectionAction::kSendStopRequest:
      stop_reason_ = cause.reason;
      state_deadline_ = cause.now + settings_->stop_timeout;
      return send(out, pptp_wire::StopControlConnectionRequest{
                           .reason = octet(stop_reason_code(cause.reason))});
    case ConnectionAction::kSendStopReply:
      return send(out, pptp_wire::StopControlConnectionReply{
                           .result_code = octet(pptp_wire::StopResult::kOk)});
    case ConnectionAction::kSendEchoRequest:
      if (!echo_sent_) echo_sent_ = cause.now;
      draw_silence();
      return send(out, pptp_wire::EchoRequest{.identifier = next_echo_identifier_++});
    case ConnectionAction::kSendEchoReply:
      return send(out,
                  pptp_wire::EchoReply{
                      .identifier = std::get<pptp_wire::EchoRequest>(*cause.message).identifier,
                      .result_code = octet(pptp_wire::EchoResult::kOk)});
    case ConnectionAction::kHandToCall:
      return std::visit([&](const auto& message) { on(message, cause, out); }, *cause.message);
    case ConnectionAction::kClearCalls:
      return drop_calls(CallEvent::kTerminate, cause, out);
    case ConnectionAction::kDropCalls:
      return drop_calls(CallEvent::kLost, cause, out);
    case ConnectionAction::kCloseTcp:
      out.push_back(model::CloseConnection{cause.reason});
      return;
    case ConnectionAction::kIgnore:
      ++counters_.messages_ignored;
      return;
  }
}

void ControlConnection::drop_calls(CallEvent event, const Cause& cause, Actions& out) {
  for (const std::uint32_t number : calls_.numbers()) step(number, event, cause, out);
}

// ---- A call's machine (§3.2.3, §3.2.4)

void ControlConnection::step(std::uint32_t number, CallEvent event, const Cause& cause,
                             Actions& out) {
  Call* call = calls_.find(number);
  if (call == nullptr) return;
  const auto* transition = machine_of(call->kind).find(call->state, event);
  if (transition == nullptr || !transition->legal) return;
  if (call->state != transition->next) {
    calls_.set_state(*call, transition->next);
    if (waits_for_us(call->state))
      calls_.set_answer_by(*call, cause.now + settings_->answer_timeout);
    else if (call->state != CallState::kEstablished && call->state != CallState::kIdle)
      calls_.set_answer_by(*call, cause.now + settings_->reply_timeout);
    else
      calls_.set_answer_by(*call, std::nullopt);
  }
  const auto has = [transition](CallAction action) {
    return std::ranges::find(transition->actions, action) != transition->actions.end();
  };
  for (const CallAction action : transition->actions) {
    // What is refused has its reason in RefuseCall: a call ends once.
    if (action == CallAction::kWithdraw)
      out.push_back(
          model::WithdrawOffer{number, has(CallAction::kRefuse) ? EndReason::kNone : cause.reason});
    else
      perform(*call, action, cause, out);
  }
  if (transition->next == CallState::kIdle) calls_.remove(number);
  if (has(CallAction::kSuspect)) step(ConnectionEvent::kTimeout, cause, out);
}

void ControlConnection::perform(Call& call, CallAction action, const Cause& cause, Actions& out) {
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
        return send(out, pptp_wire::IncomingCallReply{
                             .call_id = our_call_id.value,
                             .peers_call_id = peer_call_id.value,
                             .result_code = octet(pptp_wire::IncomingCallResult::kConnect),
                             .packet_recv_window_size = settings_->receive_window});
      return send(out, pptp_wire::OutgoingCallReply{
                           .call_id = our_call_id.value,
                           .peers_call_id = peer_call_id.value,
                           .result_code = octet(pptp_wire::OutgoingCallResult::kConnected),
                           .connect_speed = std::min(call.maximum_bps, settings_->connect_speed),
                           .packet_recv_window_size = settings_->receive_window});
    case CallAction::kRefuse:
      ++counters_.calls_refused;
      if (incoming) {
        const auto codes = incoming_reply_codes(cause.reason);
        send(out, pptp_wire::IncomingCallReply{.peers_call_id = peer_call_id.value,
                                               .result_code = octet(codes.result),
                                               .error_code = octet(codes.error)});
      } else {
        const auto codes = outgoing_reply_codes(cause.reason);
        send(out, pptp_wire::OutgoingCallReply{.peers_call_id = peer_call_id.value,
                                               .result_code = octet(codes.result),
                                               .error_code = octet(codes.error)});
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
                           .result_code = octet(codes.result),
                           .error_code = octet(codes.error),
                           .call_statistics = statistics_text(cause.statistics)});
    }
    case CallAction::kLearn:
      if (const auto* outgoing = std::get_if<pptp_wire::OutgoingCallReply>(cause.message))
        calls_.set_peer_call_id(call, PeerCallId(outgoing->call_id));
      else if (const auto* reply = std::get_if<pptp_wire::IncomingCallReply>(cause.message))
        calls_.set_peer_call_id(call, PeerCallId(reply->call_id));
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

void ControlConnection::on_request(Call call, std::uint16_t call_id, const Cause& cause,
                                   Actions& out) {
  calls_.forget_gone(PeerCallId(call_id));
  call.number = calls_.take_number();
  call.peer_call_id = PeerCallId(call_id);
  Cause with_reason = cause;
  with_reason.reason = EndReason::kNone;
  // §3.2.2: a Call ID names one call between two peers, answered or not.
  if (calls_.find_theirs(PeerCallId(call_id)) != nullptr)
    with_reason.reason = EndReason::call_id_in_use;
  else if (calls_.calls().size() >= settings_->maximum_calls)
    with_reason.reason = EndReason::too_many_calls;
  else if (call.kind == CallKind::kIncoming && !settings_->accept_incoming_calls)
    with_reason.reason = EndReason::incoming_call_refused;
  const std::uint32_t number = calls_.add(std::move(call)).number;
  step(number,
       with_reason.reason == EndReason::kNone ? CallEvent::kRequest : CallEvent::kRequestBad,
       with_reason, out);
}

// Bearer, framing, minimum speed and phone number mean nothing to a tunnel: never a reason.
void ControlConnection::on(const pptp_wire::OutgoingCallRequest& request, const Cause& cause,
                           Actions& out) {
  Call call;
  call.kind = CallKind::kSubscriber;
  call.serial_number = request.call_serial_number;
  call.maximum_bps = request.maximum_bps;
  on_request(std::move(call), request.call_id, cause, out);
}

void ControlConnection::on(const pptp_wire::IncomingCallRequest& request, const Cause& cause,
                           Actions& out) {
  Call call;
  call.kind = CallKind::kIncoming;
  call.serial_number = request.call_serial_number;
  on_request(std::move(call), request.call_id, cause, out);
}

void ControlConnection::on_reply(CallKind kind, OurCallId id, PeerCallId peer_call_id,
                                 bool accepting, const Cause& cause, Actions& out) {
  const Call* call = calls_.find_ours(id, [kind](const Call& c) { return c.kind == kind; });
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  Cause refused = cause;
  refused.reason = EndReason::call_refused_by_peer;
  if (!accepting) return step(call->number, CallEvent::kReplyBad, refused, out);
  // §3.2.2 again: a second call under one id could not be told from the first.
  const bool in_use = calls_.find_theirs(peer_call_id, [number = call->number](const Call& c) {
    return c.number != number;
  }) != nullptr;
  if (in_use && call->state == CallState::kWaitReply) {
    refused.reason = EndReason::call_id_in_use;
    return step(call->number, CallEvent::kTerminate, refused, out);
  }
  step(call->number, CallEvent::kReply, cause, out);
}

void ControlConnection::on(const pptp_wire::OutgoingCallReply& reply, const Cause& cause,
                           Actions& out) {
  Cause with_codes = cause;
  with_codes.codes = {reply.result_code, reply.error_code, reply.cause_code};
  on_reply(CallKind::kPlaced, OurCallId(reply.peers_call_id), PeerCallId(reply.call_id),
           is_success(reply.result_code), with_codes, out);
}

void ControlConnection::on(const pptp_wire::IncomingCallReply& reply, const Cause& cause,
                           Actions& out) {
  Cause with_codes = cause;
  with_codes.codes = {reply.result_code, reply.error_code, 0};
  on_reply(CallKind::kAnnounced, OurCallId(reply.peers_call_id), PeerCallId(reply.call_id),
           is_success(reply.result_code), with_codes, out);
}

void ControlConnection::on(const pptp_wire::IncomingCallConnected& connected, const Cause& cause,
                           Actions& out) {
  const Call* call = calls_.find_ours(OurCallId(connected.peers_call_id),
                                      [](const Call& c) { return c.kind == CallKind::kIncoming; });
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  step(call->number, CallEvent::kConnected, cause, out);
}

void ControlConnection::on(const pptp_wire::CallClearRequest& request, const Cause& cause,
                           Actions& out) {
  // The field names the id that the PNS assigned (§2.12): the peer's, where we are the PAC.
  const Call* call = calls_.find_theirs(PeerCallId(request.call_id),
                                        [](const Call& c) { return !model::we_are_pns(c.kind); });
  if (call == nullptr) {
    // NAT helpers rewrite Call IDs, and some peers put in another one. With one call that the peer
    // may clear there is no doubt which is meant; those of other connections are out of reach. But
    // pptp-linux clears a call that was refused, beside one that is up.
    const bool is_gone = calls_.is_gone(PeerCallId(request.call_id));
    if (!is_gone && (call = calls_.find_only_as_pac()) != nullptr)
      ++counters_.clear_with_wrong_call_id;
    else if (!is_gone)
      call = calls_.find_either(request.call_id, true);
  }
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  Cause cleared = cause;
  cleared.reason = EndReason::peer_cleared_call;
  step(call->number, CallEvent::kClear, cleared, out);
}

void ControlConnection::on(const pptp_wire::CallDisconnectNotify& notify, const Cause& cause,
                           Actions& out) {
  // The field names the id that the PAC assigned (§2.13): the peer's where we are the PNS, ours
  // where we are the PAC. Some peers put in the other one.
  const Call* as_pns = calls_.find_theirs(PeerCallId(notify.call_id),
                                          [](const Call& c) { return model::we_are_pns(c.kind); });
  const Call* as_pac = calls_.find_ours(OurCallId(notify.call_id),
                                        [](const Call& c) { return !model::we_are_pns(c.kind); });
  const Call* call =
      as_pns == nullptr || (as_pac != nullptr && as_pac->number < as_pns->number) ? as_pac : as_pns;
  if (call == nullptr) call = calls_.find_either(notify.call_id, false);
  // A call that we cleared before its Reply: nobody ever told us its PAC's id.
  if (call == nullptr) call = calls_.find_cleared_before_reply();
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  Cause disconnected = cause;
  disconnected.reason = EndReason::peer_call_disconnected;
  disconnected.codes = {notify.result_code, notify.error_code, notify.cause_code};
  step(call->number, CallEvent::kDisconnect, disconnected, out);
}

void ControlConnection::on(const pptp_wire::WanErrorNotify& notify, const Cause&, Actions& out) {
  ++counters_.wan_error_notifies;
  // The id that the PNS assigned (§2.14).
  Call* call = calls_.find_either(notify.peers_call_id, false);
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
void ControlConnection::on(const pptp_wire::SetLinkInfo& info, const Cause&, Actions&) {
  ++counters_.set_link_infos;
  Call* call = calls_.find_either(info.peers_call_id, false);
  if (call == nullptr) {
    ++counters_.messages_ignored;
    return;
  }
  call->link_info = {info.send_accm, info.receive_accm};
}

template <class NotOfCalls>
void ControlConnection::on(const NotOfCalls&, const Cause&, Actions&) {}

// ---- What is known

namespace {

// Empty: nothing of it need be known after a restart.
std::optional<KnownCall> known(const Call& call) {
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

std::optional<ConnectionSnapshot> ControlConnection::snapshot() const {
  if (state_ != State::kEstablished) return std::nullopt;
  ConnectionSnapshot out{.peer_host_name = peer_host_name_,
                         .peer_vendor_name = peer_vendor_name_,
                         .peer_firmware_revision = peer_firmware_revision_,
                         .next_echo_identifier = next_echo_identifier_,
                         .originated = originated()};
  for (const std::uint32_t number : calls_.numbers())
    if (auto call = known(*calls_.find(number))) out.calls.push_back(*call);
  return out;
}

ConnectionChanges ControlConnection::take_changes() {
  ConnectionChanges out;
  const auto changed = calls_.take_changes();
  if (state_ != State::kEstablished) return out;
  out.established = std::exchange(established_, false);
  out.calls.reserve(changed.size());
  for (const auto& [number, reported] : changed) {
    if (const Call* const call = std::as_const(calls_).find(number)) {
      out.calls.push_back({number, known(*call)});
    } else if (reported) {
      out.calls.push_back({number, std::nullopt});
    }
  }
  return out;
}

bool ControlConnection::awaits_answer(std::uint32_t offer) const noexcept {
  const Call* const call = calls_.find(offer);
  return call != nullptr && waits_for_us(call->state);
}

model::ConnectionActions ControlConnection::offers() const {
  Actions out;
  for (const std::uint32_t number : calls_.numbers()) {
    const Call& call = *calls_.find(number);
    if (!call.our_call_id && waits_for_us(call.state)) out.push_back(offer_of(call));
  }
  return out;
}

// ---- Helpers

bool ControlConnection::take_token(TimePoint now) noexcept {
  return messages_.try_take(
      {.rate = settings_->messages_per_second, .burst = settings_->message_burst}, now);
}

}  // namespace pns::pptp
