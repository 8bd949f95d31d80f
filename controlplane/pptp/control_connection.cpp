// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/pptp/control_connection.hpp"

#include <algorithm>
#include <utility>

namespace pns::pptp {
namespace {

namespace pptp_wire = wire::pptp;
using model::CloseConnection;
using model::EndCall;
using model::OfferCall;
using model::SendMessage;
using model::WithdrawOffer;

constexpr std::uint64_t kTokensPerMessage =
    1'000'000'000;  // a token is a nanosecond of one per second

template <class Enum>
constexpr std::uint8_t octet(Enum value) noexcept {
  return static_cast<std::uint8_t>(value);
}

void send(model::ConnectionActions& out, pptp_wire::Message message) {
  out.push_back(SendMessage{std::move(message)});
}

// RFC 2637 §2.13: what a Call-Disconnect-Notify says about the end of a call.
struct DisconnectCodes {
  pptp_wire::DisconnectResult result;
  pptp_wire::GeneralError error = pptp_wire::GeneralError::kNone;
};

DisconnectCodes disconnect_codes(EndReason reason) noexcept {
  using enum pptp_wire::DisconnectResult;
  switch (reason) {
    case EndReason::peer_cleared_call:
      return {kRequest};
    case EndReason::peer_disconnected:
    case EndReason::lcp_echo_timeout:
    case EndReason::lcp_timeout:
    case EndReason::lcp_loop:
      return {kLostCarrier};
    case EndReason::no_session_slot:
    case EndReason::no_address:
    case EndReason::dataplane_refused:
    case EndReason::dataplane_unavailable:
      return {kGeneralError, pptp_wire::GeneralError::kNoResource};
    case EndReason::internal_error:
      return {kGeneralError, pptp_wire::GeneralError::kPacError};
    default:
      return {kAdminShutdown};
  }
}

pptp_wire::Text<128> statistics_text(const CallStatistics& s) {
  if (s.rx_packets == 0 && s.rx_bytes == 0 && s.tx_packets == 0 && s.tx_bytes == 0) return {};
  return pptp_wire::to_text<128>(
      "rxp=" + std::to_string(s.rx_packets) + " rxb=" + std::to_string(s.rx_bytes) +
      " txp=" + std::to_string(s.tx_packets) + " txb=" + std::to_string(s.tx_bytes) +
      " s=" + std::to_string(s.duration.count()));
}

pptp_wire::CallDisconnectNotify disconnect_notify(OurCallId our_call_id, EndReason reason,
                                                  const CallStatistics& statistics) {
  const DisconnectCodes codes = disconnect_codes(reason);
  return {.call_id = our_call_id.value,
          .result_code = octet(codes.result),
          .error_code = octet(codes.error),
          .call_statistics = statistics_text(statistics)};
}

}  // namespace

ControlConnection::ControlConnection(const ConnectionSettings& settings, TimePoint now)
    : settings_(settings),
      last_received_(now),
      state_deadline_(now + settings.setup_timeout),
      tokens_(kTokensPerMessage * settings.message_burst),
      tokens_at_(now) {}

ControlConnection::ControlConnection(const ConnectionSettings& settings,
                                     const ConnectionSnapshot& snapshot, TimePoint now)
    : ControlConnection(settings, now) {
  state_ = State::kEstablished;
  next_echo_identifier_ = snapshot.next_echo_identifier;
  peer_host_name_ = snapshot.peer_host_name;
  peer_vendor_name_ = snapshot.peer_vendor_name;
  peer_firmware_revision_ = snapshot.peer_firmware_revision;
  calls_.reserve(snapshot.calls.size());
  for (const auto& call : snapshot.calls)
    calls_.emplace_back(call.peer_call_id, call.serial_number, Call::Established{call.our_call_id});
}

// ---- From the peer

model::ConnectionActions ControlConnection::on_message(const pptp_wire::Message& message,
                                                       TimePoint now) {
  Actions out;
  if (state_ == State::kClosed) return out;
  ++counters_.messages_received;
  if (!take_token(now)) {
    drop_calls(EndReason::message_flood, out);
    close(EndReason::message_flood, out);
    return out;
  }
  // RFC 2637 §2.1: nothing else before Start-Control-Connection-Request.
  if (state_ == State::kWaitStart &&
      !std::holds_alternative<pptp_wire::StartControlConnectionRequest>(message)) {
    close(EndReason::message_out_of_order, out);
    return out;
  }
  // RFC 2637 §3.1.4: any control message shows that the peer lives.
  last_received_ = now;
  echo_sent_.reset();
  if (state_ == State::kWaitStopReply &&
      !std::holds_alternative<pptp_wire::StopControlConnectionRequest>(message) &&
      !std::holds_alternative<pptp_wire::StopControlConnectionReply>(message)) {
    ++counters_.messages_ignored;
    return out;
  }
  std::visit([&](const auto& m) { on(m, now, out); }, message);
  return out;
}

void ControlConnection::on(const pptp_wire::StartControlConnectionRequest& request, TimePoint,
                           Actions& out) {
  pptp_wire::StartControlConnectionReply reply{
      .result_code = octet(pptp_wire::StartResult::kSuccess),
      .framing_capabilities = pptp_wire::kFramingAsync | pptp_wire::kFramingSync,
      .bearer_capabilities = pptp_wire::kBearerAnalog | pptp_wire::kBearerDigital,
      .maximum_channels = settings_.maximum_channels,
      .firmware_revision = settings_.firmware_revision,
      .host_name = pptp_wire::to_text<64>(settings_.host_name),
      .vendor_name = pptp_wire::to_text<64>(settings_.vendor_name)};

  if (state_ != State::kWaitStart) {
    reply.result_code = octet(pptp_wire::StartResult::kChannelExists);
    send(out, reply);
    drop_calls(EndReason::start_repeated, out);
    close(EndReason::start_repeated, out);
    return;
  }
  // §3.1.2: a version below ours is refused; a higher one is told ours and may go on with it.
  if (request.protocol_version < pptp_wire::kProtocolVersion) {
    reply.result_code = octet(pptp_wire::StartResult::kBadVersion);
    send(out, reply);
    close(EndReason::bad_protocol_version, out);
    return;
  }
  peer_host_name_ = pptp_wire::text_of(request.host_name);
  peer_vendor_name_ = pptp_wire::text_of(request.vendor_name);
  peer_firmware_revision_ = request.firmware_revision;
  state_ = State::kEstablished;
  send(out, reply);
}

void ControlConnection::on(const pptp_wire::StopControlConnectionRequest&, TimePoint,
                           Actions& out) {
  send(out,
       pptp_wire::StopControlConnectionReply{.result_code = octet(pptp_wire::StopResult::kOk)});
  const EndReason reason =
      state_ == State::kWaitStopReply ? stop_reason_ : EndReason::peer_stopped_connection;
  drop_calls(reason, out);
  close(reason, out);
}

void ControlConnection::on(const pptp_wire::StopControlConnectionReply&, TimePoint, Actions& out) {
  if (state_ != State::kWaitStopReply) {
    ++counters_.messages_ignored;
    return;
  }
  close(stop_reason_, out);
}

void ControlConnection::on(const pptp_wire::EchoRequest& request, TimePoint, Actions& out) {
  send(out, pptp_wire::EchoReply{.identifier = request.identifier,
                                 .result_code = octet(pptp_wire::EchoResult::kOk)});
}

// on_message has taken it for the sign of life it is; which request it answers does not matter.
void ControlConnection::on(const pptp_wire::EchoReply&, TimePoint, Actions&) {}

void ControlConnection::on(const pptp_wire::OutgoingCallRequest& request, TimePoint now,
                           Actions& out) {
  const PeerCallId peer_call_id(request.call_id);
  // §3.2.2: a Call ID names one call between two peers, answered or not.
  if (find_by_peer(peer_call_id) != calls_.end()) {
    refuse(peer_call_id, pptp_wire::OutgoingCallResult::kGeneralError,
           pptp_wire::GeneralError::kBadCallId, EndReason::call_id_in_use, out);
    return;
  }
  if (calls_.size() >= settings_.maximum_calls) {
    refuse(peer_call_id, pptp_wire::OutgoingCallResult::kGeneralError,
           pptp_wire::GeneralError::kNoResource, EndReason::too_many_calls, out);
    return;
  }
  // Bearer, framing, minimum speed and phone number mean nothing to a tunnel: never a reason.
  const std::uint32_t offer = next_offer_++;
  calls_.emplace_back(peer_call_id, request.call_serial_number,
                      Call::WaitCsAnswer{.offer = offer,
                                         .maximum_bps = request.maximum_bps,
                                         .answer_by = now + settings_.answer_timeout});
  out.push_back(OfferCall{.offer = offer,
                          .peer_call_id = peer_call_id,
                          .serial_number = request.call_serial_number,
                          .peer_window = request.packet_recv_window_size,
                          .maximum_bps = request.maximum_bps});
}

void ControlConnection::on(const pptp_wire::IncomingCallRequest& request, TimePoint, Actions& out) {
  send(out, pptp_wire::IncomingCallReply{
                .peers_call_id = request.call_id,
                .result_code = octet(pptp_wire::IncomingCallResult::kDoNotAccept)});
}

void ControlConnection::on(const pptp_wire::CallClearRequest& request, TimePoint, Actions& out) {
  auto call = find_by_peer(PeerCallId(request.call_id));
  if (call == calls_.end()) {
    // NAT helpers rewrite Call IDs, and some peers put in another one. With one call there is no
    // doubt which is meant; the calls of other connections are out of reach in any case.
    if (calls_.size() != 1) {
      ++counters_.messages_ignored;
      return;
    }
    ++counters_.clear_with_wrong_call_id;
    call = calls_.begin();
  }
  if (const auto* established = call->established()) {
    const OurCallId our_call_id = established->our_call_id;
    send(out, disconnect_notify(our_call_id, EndReason::peer_cleared_call, {}));
    out.push_back(EndCall{our_call_id, EndReason::peer_cleared_call});
  } else {
    // No Call ID of ours exists yet: 0 stands for none.
    send(out, disconnect_notify(OurCallId(0), EndReason::peer_cleared_call, {}));
    out.push_back(WithdrawOffer{call->waiting()->offer});
  }
  calls_.erase(call);
}

void ControlConnection::on(const pptp_wire::CallDisconnectNotify& notify, TimePoint, Actions& out) {
  // The field names the id that the PAC assigned (§2.13), which is ours here; a peer that thinks of
  // itself as the PAC sends its own.
  auto call = find_by_ours(OurCallId(notify.call_id));
  if (call == calls_.end()) call = find_by_peer(PeerCallId(notify.call_id));
  if (call == calls_.end()) {
    ++counters_.messages_ignored;
    return;
  }
  if (const auto* established = call->established()) {
    out.push_back(EndCall{established->our_call_id, EndReason::peer_call_disconnected});
  } else {
    out.push_back(WithdrawOffer{call->waiting()->offer});
  }
  calls_.erase(call);
}

void ControlConnection::on(const pptp_wire::WanErrorNotify&, TimePoint, Actions&) {
  ++counters_.wan_error_notifies;
}

// The ACCMs concern asynchronous framing, which a tunnel has not (§2.15).
void ControlConnection::on(const pptp_wire::SetLinkInfo&, TimePoint, Actions&) {
  ++counters_.set_link_infos;
}

template <class Unasked>
void ControlConnection::on(const Unasked&, TimePoint, Actions&) {
  ++counters_.messages_ignored;
}

model::ConnectionActions ControlConnection::on_frame_error(pptp_wire::FrameError error, TimePoint) {
  Actions out;
  if (state_ == State::kClosed) return out;
  const EndReason reason = pptp_wire::end_reason_of(error);
  drop_calls(reason, out);
  close(reason, out);
  return out;
}

model::ConnectionActions ControlConnection::on_tcp_closed(EndReason reason, TimePoint) {
  Actions out;
  if (state_ == State::kClosed) return out;
  drop_calls(reason, out);
  state_ = State::kClosed;
  return out;
}

// ---- Answers to offers

model::ConnectionActions ControlConnection::on_call_accepted(std::uint32_t offer,
                                                             OurCallId our_call_id, TimePoint) {
  Actions out;
  const auto call = find_offer(offer);
  if (call == calls_.end()) {
    out.push_back(EndCall{our_call_id, EndReason::peer_cleared_call});
    return out;
  }
  const std::uint32_t maximum_bps = call->waiting()->maximum_bps;
  call->accept(our_call_id);
  send(out,
       pptp_wire::OutgoingCallReply{.call_id = our_call_id.value,
                                    .peers_call_id = call->peer_call_id().value,
                                    .result_code = octet(pptp_wire::OutgoingCallResult::kConnected),
                                    .connect_speed = std::min(maximum_bps, settings_.connect_speed),
                                    .packet_recv_window_size = settings_.receive_window});
  return out;
}

model::ConnectionActions ControlConnection::on_call_refused(std::uint32_t offer,
                                                            pptp_wire::OutgoingCallResult result,
                                                            pptp_wire::GeneralError error,
                                                            EndReason reason, TimePoint) {
  Actions out;
  const auto call = find_offer(offer);
  if (call == calls_.end()) return out;
  refuse(call->peer_call_id(), result, error, reason, out);
  calls_.erase(call);
  return out;
}

// ---- From our side

model::ConnectionActions ControlConnection::end_call(OurCallId our_call_id, EndReason reason,
                                                     const CallStatistics& statistics, TimePoint) {
  Actions out;
  const auto call = find_by_ours(our_call_id);
  if (call == calls_.end()) return out;
  send(out, disconnect_notify(our_call_id, reason, statistics));
  out.push_back(EndCall{our_call_id, reason});
  calls_.erase(call);
  return out;
}

model::ConnectionActions ControlConnection::stop(EndReason reason, TimePoint now) {
  Actions out;
  if (state_ == State::kWaitStart) close(reason, out);
  if (state_ != State::kEstablished) return out;
  for (const Call& call : calls_)
    if (const auto* established = call.established())
      send(out, disconnect_notify(established->our_call_id, reason, {}));
  drop_calls(reason, out);
  send(out, pptp_wire::StopControlConnectionRequest{
                .reason = octet(reason == EndReason::shutting_down
                                    ? pptp_wire::StopReason::kStopLocalShutdown
                                    : pptp_wire::StopReason::kNone)});
  state_ = State::kWaitStopReply;
  stop_reason_ = reason;
  state_deadline_ = now + settings_.stop_timeout;
  return out;
}

// ---- Time

std::optional<TimePoint> ControlConnection::deadline() const {
  if (state_ == State::kClosed) return std::nullopt;
  if (state_ != State::kEstablished) return state_deadline_;
  TimePoint earliest =
      echo_sent_ ? *echo_sent_ + settings_.echo_timeout : last_received_ + settings_.echo_interval;
  for (const Call& call : calls_)
    if (const auto* waiting = call.waiting()) earliest = std::min(earliest, waiting->answer_by);
  return earliest;
}

model::ConnectionActions ControlConnection::on_deadline(TimePoint now) {
  Actions out;
  switch (state_) {
    case State::kClosed:
      return out;
    case State::kWaitStart:
      if (now >= state_deadline_) close(EndReason::connection_setup_timeout, out);
      return out;
    case State::kWaitStopReply:
      if (now >= state_deadline_) close(stop_reason_, out);
      return out;
    case State::kEstablished:
      break;
  }

  for (auto call = calls_.begin(); call != calls_.end();) {
    const auto* waiting = call->waiting();
    if (waiting == nullptr || now < waiting->answer_by) {
      ++call;
      continue;
    }
    out.push_back(WithdrawOffer{waiting->offer});
    refuse(call->peer_call_id(), pptp_wire::OutgoingCallResult::kGeneralError,
           pptp_wire::GeneralError::kNoResource, EndReason::dataplane_unavailable, out);
    call = calls_.erase(call);
  }

  if (echo_sent_) {
    if (now >= *echo_sent_ + settings_.echo_timeout) {
      drop_calls(EndReason::connection_echo_timeout, out);
      close(EndReason::connection_echo_timeout, out);
    }
  } else if (now >= last_received_ + settings_.echo_interval) {
    send(out, pptp_wire::EchoRequest{.identifier = next_echo_identifier_++});
    echo_sent_ = now;
  }
  return out;
}

// ---- What is known

std::optional<ConnectionSnapshot> ControlConnection::snapshot() const {
  if (state_ != State::kEstablished) return std::nullopt;
  ConnectionSnapshot out{.peer_host_name = peer_host_name_,
                         .peer_vendor_name = peer_vendor_name_,
                         .peer_firmware_revision = peer_firmware_revision_,
                         .next_echo_identifier = next_echo_identifier_,
                         .calls = {}};
  for (const Call& call : calls_)
    if (const auto* established = call.established())
      out.calls.push_back({established->our_call_id, call.peer_call_id(), call.serial_number()});
  return out;
}

// ---- Helpers

bool ControlConnection::take_token(TimePoint now) noexcept {
  const std::uint64_t full = kTokensPerMessage * settings_.message_burst;
  if (now > tokens_at_ && settings_.messages_per_second != 0) {
    // Bounded before the multiplication, so that it cannot overflow after a long silence.
    const auto elapsed =
        std::min<std::uint64_t>(static_cast<std::uint64_t>((now - tokens_at_).count()),
                                full / settings_.messages_per_second + 1);
    tokens_ = std::min(full, tokens_ + elapsed * settings_.messages_per_second);
  }
  tokens_at_ = std::max(tokens_at_, now);
  if (tokens_ < kTokensPerMessage) return false;
  tokens_ -= kTokensPerMessage;
  return true;
}

std::vector<Call>::iterator ControlConnection::find_offer(std::uint32_t offer) noexcept {
  return std::find_if(calls_.begin(), calls_.end(), [offer](const Call& call) {
    return call.waiting() != nullptr && call.waiting()->offer == offer;
  });
}

std::vector<Call>::iterator ControlConnection::find_by_peer(PeerCallId id) noexcept {
  return std::find_if(calls_.begin(), calls_.end(),
                      [id](const Call& call) { return call.peer_call_id() == id; });
}

std::vector<Call>::iterator ControlConnection::find_by_ours(OurCallId id) noexcept {
  return std::find_if(calls_.begin(), calls_.end(), [id](const Call& call) {
    return call.established() != nullptr && call.established()->our_call_id == id;
  });
}

void ControlConnection::refuse(PeerCallId peer_call_id, pptp_wire::OutgoingCallResult result,
                               pptp_wire::GeneralError error, EndReason reason, Actions& out) {
  ++counters_.calls_refused;
  send(out, pptp_wire::OutgoingCallReply{.peers_call_id = peer_call_id.value,
                                         .result_code = octet(result),
                                         .error_code = octet(error)});
  out.push_back(model::RefuseCall{reason});
}

void ControlConnection::drop_calls(EndReason reason, Actions& out) {
  for (const Call& call : calls_) {
    if (const auto* established = call.established())
      out.push_back(EndCall{established->our_call_id, reason});
    else
      out.push_back(WithdrawOffer{call.waiting()->offer});
  }
  calls_.clear();
}

void ControlConnection::close(EndReason reason, Actions& out) {
  state_ = State::kClosed;
  out.push_back(CloseConnection{reason});
}

}  // namespace pns::pptp
