// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/control_connection.hpp"

#include <algorithm>
#include <utility>

#include "controlplane/pptp/codes.hpp"

namespace pns::pptp {
namespace {

namespace pptp_wire = wire::pptp;

// Major version 1: a Reply that names another speaks what we do not.
bool is_our_version(std::uint16_t protocol_version) noexcept {
  return protocol_version >> 8 == pptp_wire::kProtocolVersion >> 8;
}

// A Start-Control-Connection-Request or -Reply that says who we are (RFC 2637 §2.1, §2.2).
template <class Start>
Start introduced(Start start, const ConnectionSettings& settings) {
  start.framing_capabilities = pptp_wire::kAnyFraming;
  start.bearer_capabilities = pptp_wire::kAnyBearer;
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
      silence_(settings_->echo_interval),
      calls_(*settings_) {}

ControlConnection::ControlConnection(SharedSettings settings, const ConnectionSnapshot& snapshot,
                                     TimePoint now)
    : ControlConnection(std::move(settings), now) {
  machine_ = snapshot.originated ? &kOriginator : &kReceiver;
  state_ = State::kEstablished;
  next_echo_identifier_ = snapshot.next_echo_identifier;
  peer_host_name_ = snapshot.peer_host_name;
  peer_vendor_name_ = snapshot.peer_vendor_name;
  peer_firmware_revision_ = snapshot.peer_firmware_revision;
  calls_.restore(snapshot.calls, now);
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
  ++messages_received_;
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

// A call can be asked for once the connection is established.
model::ConnectionActions ControlConnection::place_call(OurCallId our_call_id,
                                                       const OutgoingCall& call, TimePoint now) {
  if (state_ != State::kEstablished)
    return {model::EndCall{our_call_id, EndReason::internal_error}};
  return calls_.place(our_call_id, call, now);
}

model::ConnectionActions ControlConnection::announce_call(OurCallId our_call_id,
                                                          const IncomingCall& call, TimePoint now) {
  if (state_ != State::kEstablished)
    return {model::EndCall{our_call_id, EndReason::internal_error}};
  return calls_.announce(our_call_id, call, now);
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
    if (const auto reason = calls_.on_timeout(number, now, out))
      step(ConnectionEvent::kTimeout, {.reason = *reason, .now = now}, out);
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
                  introduced(pptp_wire::StartControlConnectionReply{.result_code =
                                                                        std::to_underlying(result)},
                             *settings_));
    }
    case ConnectionAction::kSendStopRequest:
      stop_reason_ = cause.reason;
      state_deadline_ = cause.now + settings_->stop_timeout;
      return send(out, pptp_wire::StopControlConnectionRequest{
                           .reason = std::to_underlying(stop_reason_code(cause.reason))});
    case ConnectionAction::kSendStopReply:
      return send(out, pptp_wire::StopControlConnectionReply{
                           .result_code = std::to_underlying(pptp_wire::StopResult::kOk)});
    case ConnectionAction::kSendEchoRequest:
      if (!echo_sent_) echo_sent_ = cause.now;
      draw_silence();
      return send(out, pptp_wire::EchoRequest{.identifier = next_echo_identifier_++});
    case ConnectionAction::kSendEchoReply:
      return send(out,
                  pptp_wire::EchoReply{
                      .identifier = std::get<pptp_wire::EchoRequest>(*cause.message).identifier,
                      .result_code = std::to_underlying(pptp_wire::EchoResult::kOk)});
    case ConnectionAction::kHandToCall:
      return calls_.on_message(cause, out);
    case ConnectionAction::kClearCalls:
      return calls_.on_all(CallEvent::kTerminate, cause, out);
    case ConnectionAction::kDropCalls:
      return calls_.on_all(CallEvent::kLost, cause, out);
    case ConnectionAction::kCloseTcp:
      out.push_back(model::CloseConnection{cause.reason});
      return;
    case ConnectionAction::kIgnore:
      ++messages_ignored_;
      return;
  }
}

// ---- What is known

ConnectionCounters ControlConnection::counters() const noexcept {
  ConnectionCounters out{calls_.counters()};
  out.messages_ignored += messages_ignored_;
  out.messages_received = messages_received_;
  out.calls_visited = calls_.table().visited();
  return out;
}

std::optional<ConnectionSnapshot> ControlConnection::snapshot() const {
  if (state_ != State::kEstablished) return std::nullopt;
  ConnectionSnapshot out{.peer_host_name = peer_host_name_,
                         .peer_vendor_name = peer_vendor_name_,
                         .peer_firmware_revision = peer_firmware_revision_,
                         .next_echo_identifier = next_echo_identifier_,
                         .originated = originated(),
                         .calls = calls_.known()};
  return out;
}

ConnectionChanges ControlConnection::take_changes() {
  ConnectionChanges out;
  auto changed = calls_.take_changes();
  if (state_ != State::kEstablished) return out;
  out.established = std::exchange(established_, false);
  out.calls = std::move(changed);
  return out;
}

// ---- Helpers

bool ControlConnection::take_token(TimePoint now) noexcept {
  return messages_.try_take(
      {.rate = settings_->messages_per_second, .burst = settings_->message_burst}, now);
}

}  // namespace pns::pptp
