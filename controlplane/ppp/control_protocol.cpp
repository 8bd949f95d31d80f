// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/control_protocol.hpp"

#include <algorithm>
#include <utility>

namespace pns::ppp {
namespace {

using wire::LcpCode;

constexpr bool timer_runs(State state) noexcept {
  return state >= State::kClosing && state <= State::kAckSent;
}

constexpr bool is_ending(State state) noexcept {
  return state == State::kClosing || state == State::kStopping;
}

}  // namespace

ControlProtocol::ControlProtocol(wire::PppProtocol protocol, const RestartSettings& restart,
                                 ProtocolReasons reasons) noexcept
    : restart_(restart), protocol_(protocol), reasons_(reasons) {}

void ControlProtocol::reset() noexcept {
  ++generation_;
  state_ = State::kInitial;
  if (negotiation_) {
    negotiation_->timer.stop();
    negotiation_->request.forget();
  }
  finish_reason_ = EndReason::kNone;
  our_rounds_ = peer_rounds_ = 0;  // the layer below counts how often this happens
  opened_at_.reset();
}

void ControlProtocol::restore_opened(TimePoint now) noexcept {
  reset();
  state_ = State::kOpened;
  opened_at_ = now;
  rest();
}

void ControlProtocol::restore_stopped() noexcept {
  reset();
  state_ = State::kStopped;
}

// No value that begin_negotiation() or irc sets is kept: one of them comes before it is used.
void ControlProtocol::rest() noexcept {
  if (state_ != State::kOpened || (negotiation_ && negotiation_->request.is_outstanding())) return;
  negotiation_.reset();
  forget_options();
}

// A request of the peer brings one of ours, without irc: it has all its tries.
ControlProtocol::Negotiation& ControlProtocol::negotiation() {
  if (!negotiation_) negotiation_ = std::make_unique<Negotiation>(restart_);
  return *negotiation_;
}

// ---- The automaton

void ControlProtocol::run(Event event, Context& context) {
  const State from = state_;
  const Transition& t = transition(event, from);
  if (!t.legal) return;

  const bool requests =
      std::find(t.actions.begin(), t.actions.end(), Action::kScr) != t.actions.end();
  const bool peer_caused = event >= Event::kRcrPlus;
  if (requests && peer_caused && !count_round(our_rounds_, context)) return;

  // State and timer first: an observer that is told something finds the machine as it will be.
  const unsigned generation = ++generation_;
  state_ = t.next;
  if (negotiation_ && !timer_runs(state_)) negotiation_->timer.stop();
  const bool by_peers_request = event == Event::kRcrPlus || event == Event::kRcrMinus;
  if (requests && !by_peers_request &&
      (from == State::kStarting || from == State::kClosed || from == State::kOpened))
    begin_negotiation(context);

  for (const Action action : t.actions) {
    if (action == Action::kNone) break;
    perform(action, event, context);
    if (generation_ != generation) return;  // the observer has moved the machine on
  }
}

void ControlProtocol::perform(Action action, Event cause, Context& context) {
  switch (action) {
    case Action::kNone:
    case Action::kTls:
      return;
    case Action::kTlu:
      opened_at_ = context.now;
      finish_reason_ = EndReason::kNone;
      negotiation().request.free_options();  // acknowledged; the next one is written anew
      context.observer.layer_up(protocol_);
      return;
    case Action::kTld:
      context.observer.layer_down(protocol_, cause);
      return;
    case Action::kTlf:
      context.observer.layer_finished(protocol_, finish_reason_);
      return;
    case Action::kIrc:
      negotiation().timer.initialize(is_ending(state_) ? restart_.settings->max_terminate
                                                       : restart_.max_configure);
      negotiation().early_resends = 0;
      if (timer_runs(state_)) arm_timer(context);
      return;
    case Action::kZrc:
      negotiation().timer.initialize(0);
      arm_timer(context);
      return;
    case Action::kScr:
      send_request(context);
      return;
    case Action::kSca: {
      const unsigned generation = generation_;
      for (ConfigOption* option : options()) option->commit();
      before_ack(context);
      if (generation_ != generation) return;
      const RequestAnswer& answer = *negotiation_->answer;
      send(LcpCode::kConfigureAck, answer.identifier, answer.options, context);
      return;
    }
    case Action::kScn: {
      const RequestAnswer& answer = *negotiation_->answer;
      send(answer.code, answer.identifier, answer.options, context);
      return;
    }
    case Action::kStr:
      negotiation().timer.count_request();
      send(LcpCode::kTerminateRequest, ++next_identifier_, {}, context);
      arm_timer(context);
      return;
    case Action::kSta:
      if (packet_ != nullptr) send(LcpCode::kTerminateAck, packet_->identifier, {}, context);
      return;
    case Action::kScj: {
      if (packet_ == nullptr || !context.rejects.allow(context.now)) return;
      const std::size_t room = context.peer_mru - wire::kControlHeaderLength;
      send(LcpCode::kCodeReject, ++next_identifier_,
           packet_->whole.first(std::min(packet_->whole.size(), room)), context);
      return;
    }
    case Action::kSer:  // Lcp answers echoes itself: only it knows the magic numbers
      return;
  }
}

void ControlProtocol::begin_negotiation(Context& context) {
  for (ConfigOption* option : options()) {
    option->clear_failure();
    option->restart(context);
  }
  negotiation().request.set_changed();
  negotiation_->peer_requested = false;
  negotiation_->naks.sent = 0;
  if (opened_at_ && context.now - *opened_at_ >= kStableAfter) our_rounds_ = peer_rounds_ = 0;
  opened_at_.reset();
}

void ControlProtocol::on_timer(Context& context) {
  if (!negotiation_ || !negotiation_->timer.is_due(context.now)) return;
  if (negotiation_->timer.expire()) return run(Event::kToPlus, context);
  if (finish_reason_ == EndReason::kNone) finish_reason_ = reasons_.timeout;
  run(Event::kToMinus, context);
}

void ControlProtocol::arm_timer(Context& context) {
  negotiation().timer.arm(*restart_.settings, context.now);
}

// ---- What we send

void ControlProtocol::send(LcpCode code, std::uint8_t identifier, Bytes data,
                           Context& context) const {
  context.send(protocol_, static_cast<std::uint8_t>(code), identifier, data);
}

void ControlProtocol::send_request(Context& context) {
  Negotiation& now = negotiation();
  if (now.request.must_be_written()) {
    now.request.write(options());
    request_identifier_ = ++next_identifier_;
  }
  now.request.on_sent(context.now);
  now.timer.count_request();
  send(LcpCode::kConfigureRequest, request_identifier_, now.request.options(), context);
  arm_timer(context);
}

void ControlProtocol::resend_request(Context& context) {
  Negotiation& now = negotiation();
  if (!now.request.is_outstanding() || now.early_resends >= kEarlyResends) return;
  ++now.early_resends;
  send_request(context);
}

void ControlProtocol::fail(EndReason reason, Context& context) {
  ++generation_;  // whatever transition is being performed stops here
  context.observer.layer_failed(protocol_, reason);
}

bool ControlProtocol::count_round(std::uint8_t& rounds, Context& context) {
  if (opened_at_ && context.now - *opened_at_ >= kStableAfter) our_rounds_ = peer_rounds_ = 0;
  if (rounds < kMaximumRounds) {
    ++rounds;
    return true;
  }
  fail(reasons_.no_convergence, context);
  return false;
}

bool ControlProtocol::check_options(Context& context) {
  const EndReason reason = failure_of(options());
  if (reason == EndReason::kNone) return true;
  fail(reason, context);
  return false;
}

// ---- What the peer sends

void ControlProtocol::on_packet(const wire::ControlPacket& packet, Context& context) {
  // RFC 1661 §3.4: the lower layer is not up for this protocol.
  if (state_ == State::kInitial || state_ == State::kStarting) return;
  packet_ = &packet;
  switch (static_cast<LcpCode>(packet.code)) {
    case LcpCode::kConfigureRequest:
      on_configure_request(packet, context);
      break;
    case LcpCode::kConfigureAck:
      on_configure_ack(packet, context);
      break;
    case LcpCode::kConfigureNak:
      on_configure_nak(packet, context);
      break;
    case LcpCode::kConfigureReject:
      on_configure_reject(packet, context);
      break;
    case LcpCode::kTerminateRequest:
      finish_reason_ = EndReason::peer_disconnected;
      run(Event::kRtr, context);
      // The RFC goes on asking a peer that has just said that it is leaving. One short wait is
      // enough, in case it changes its mind.
      if (state_ == State::kReqSent) {
        negotiation().timer.initialize(0);
        arm_timer(context);
      }
      break;
    case LcpCode::kTerminateAck:
      on_terminate_ack(packet, context);
      break;
    case LcpCode::kCodeReject:
      on_code_reject(packet, context);
      break;
    default:
      if (!on_other_code(packet, context)) run(Event::kRuc, context);
      break;
  }
  packet_ = nullptr;
}

void ControlProtocol::on_configure_request(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || is_ending(state_)) {
    run(Event::kRcrPlus, context);
    return;
  }
  if (!wire::options_well_formed(packet.data)) return;

  if (state_ == State::kOpened || state_ == State::kStopped) begin_negotiation(context);
  // The peer had said Terminate-Request and thought better of it.
  if (finish_reason_ != EndReason::kNone) {
    finish_reason_ = EndReason::kNone;
    negotiation().timer.set_tries(restart_.max_configure);
  }
  // Ours goes first: after our Ack the peer may be open, where a request makes it start over.
  Negotiation& now = negotiation();
  if (state_ == State::kReqSent && !now.peer_requested &&
      now.request.age(context.now) >= kLateRequest)
    resend_request(context);
  now.peer_requested = true;

  const auto answer = judge(packet, context);
  if (!answer) return;
  const bool good = answer->code == LcpCode::kConfigureAck;
  const RequestAnswer* const outer = std::exchange(now.answer, &*answer);
  run(good ? Event::kRcrPlus : Event::kRcrMinus, context);
  now.answer = outer;

  if (good && state_ == State::kAckSent && request_is_stale()) {
    now.request.set_changed();
    send_request(context);
  }
}

std::optional<RequestAnswer> ControlProtocol::judge(const wire::ControlPacket& packet,
                                                    Context& context) {
  Negotiation& now = negotiation();
  auto answer = judge_request(packet, options(), now.request.options(), now.naks, context);
  if (!answer) {
    fail(answer.error(), context);
    return std::nullopt;
  }
  if (answer->code != LcpCode::kConfigureAck && !count_round(peer_rounds_, context))
    return std::nullopt;
  return std::move(*answer);
}

bool ControlProtocol::answers_our_request(const wire::ControlPacket& packet) const noexcept {
  return negotiation_ && negotiation_->request.is_outstanding() &&
         packet.identifier == request_identifier_;
}

void ControlProtocol::on_configure_ack(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || state_ == State::kStopped) return run(Event::kRca, context);
  if (!answers_our_request(packet) || !negotiation_->request.equals(packet.data)) return;
  negotiation_->request.on_acknowledged();
  for (ConfigOption* option : options()) option->on_ack();
  run(Event::kRca, context);
}

void ControlProtocol::on_configure_nak(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || state_ == State::kStopped) return run(Event::kRcn, context);
  if (!answers_our_request(packet) || !wire::options_well_formed(packet.data)) return;
  negotiation_->request.on_refused();
  wire::OptionReader reader(packet.data);
  while (const auto option = reader.next())
    if (ConfigOption* const known = find_option(options(), option->type))
      known->on_nak(*option, context);
  if (check_options(context)) run(Event::kRcn, context);
}

void ControlProtocol::on_configure_reject(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || state_ == State::kStopped) return run(Event::kRcn, context);
  if (!answers_our_request(packet) || packet.data.empty() ||
      !wire::options_well_formed(packet.data) || !negotiation_->request.contains(packet.data))
    return;
  negotiation_->request.on_refused();
  wire::OptionReader reader(packet.data);
  while (const auto option = reader.next())
    if (ConfigOption* const known = find_option(options(), option->type)) known->on_reject(context);
  if (check_options(context)) run(Event::kRcn, context);
}

void ControlProtocol::on_terminate_ack(const wire::ControlPacket& packet, Context& context) {
  const bool refused_request = answers_our_request(packet);
  run(Event::kRta, context);
  if (refused_request && (state_ == State::kReqSent || state_ == State::kAckSent))
    resend_request(context);
}

void ControlProtocol::on_code_reject(const wire::ControlPacket& packet, Context& context) {
  if (packet.data.empty()) return;
  const auto code = std::to_integer<std::uint8_t>(packet.data[0]);
  if (code >= static_cast<std::uint8_t>(LcpCode::kConfigureRequest) &&
      code <= static_cast<std::uint8_t>(LcpCode::kTerminateAck)) {
    finish_reason_ = EndReason::code_rejected;
    run(Event::kRxjMinus, context);
    return;
  }
  on_code_rejected(code);
  run(Event::kRxjPlus, context);
}

void ControlProtocol::on_protocol_rejected(EndReason reason, Context& context) {
  if (state_ == State::kInitial || state_ == State::kStarting) return;
  finish_reason_ = reason;
  run(Event::kRxjMinus, context);
}

}  // namespace pns::ppp
