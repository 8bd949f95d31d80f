// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ppp/control_protocol.hpp"

#include <algorithm>
#include <bitset>
#include <utility>

namespace pns::ppp {
namespace {

using wire::LcpCode;

// More than the options of one packet that the peer can send: a Nak is never larger than what it is
// about by more than one option of four octets per known type.
constexpr std::size_t kAnswerCapacity = 2048;
constexpr std::size_t kRequestCapacity = 128;

constexpr bool timer_runs(State state) noexcept {
  return state >= State::kClosing && state <= State::kAckSent;
}

constexpr bool is_ending(State state) noexcept {
  return state == State::kClosing || state == State::kStopping;
}

bool equal(Bytes a, Bytes b) noexcept { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

}  // namespace

ControlProtocol::ControlProtocol(wire::PppProtocol protocol, const RestartSettings& restart,
                                 ProtocolReasons reasons) noexcept
    : restart_(restart), protocol_(protocol), reasons_(reasons) {}

void ControlProtocol::reset() noexcept {
  ++generation_;
  state_ = State::kInitial;
  if (negotiation_) {
    negotiation_->restart_at.reset();
    negotiation_->request_outstanding = false;
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
  if (state_ != State::kOpened || (negotiation_ && negotiation_->request_outstanding)) return;
  negotiation_.reset();
  forget_options();
}

// A request of the peer brings one of ours, without irc: it has all its tries.
ControlProtocol::Negotiation& ControlProtocol::negotiation() {
  if (!negotiation_) negotiation_ = std::make_unique<Negotiation>(restart_.max_configure);
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
  if (negotiation_ && !timer_runs(state_)) negotiation_->restart_at.reset();
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
      negotiation().request = {};  // it was acknowledged; the next one is written anew
      context.observer.layer_up(protocol_);
      return;
    case Action::kTld:
      context.observer.layer_down(protocol_, cause);
      return;
    case Action::kTlf:
      context.observer.layer_finished(protocol_, finish_reason_);
      return;
    case Action::kIrc:
      negotiation().restart_count =
          is_ending(state_) ? restart_.settings->max_terminate : restart_.max_configure;
      negotiation().retransmissions = 0;
      negotiation().early_resends = 0;
      if (timer_runs(state_)) arm_timer(context);
      return;
    case Action::kZrc:
      negotiation().restart_count = 0;
      negotiation().retransmissions = 0;
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
      const Answer& answer = *negotiation_->answer;
      send(LcpCode::kConfigureAck, answer.identifier, answer.options, context);
      return;
    }
    case Action::kScn: {
      const Answer& answer = *negotiation_->answer;
      send(answer.code, answer.identifier, answer.options, context);
      return;
    }
    case Action::kStr:
      if (negotiation().restart_count > 0) --negotiation_->restart_count;
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
  negotiation().request_changed = true;
  negotiation_->peer_requested = false;
  negotiation_->naks_sent = 0;
  if (opened_at_ && context.now - *opened_at_ >= kStableAfter) our_rounds_ = peer_rounds_ = 0;
  opened_at_.reset();
}

void ControlProtocol::on_timer(Context& context) {
  if (!negotiation_ || !negotiation_->restart_at || context.now < *negotiation_->restart_at) return;
  negotiation_->restart_at.reset();
  if (negotiation_->restart_count > 0) {
    ++negotiation_->retransmissions;
    run(Event::kToPlus, context);
    return;
  }
  if (finish_reason_ == EndReason::kNone) finish_reason_ = reasons_.timeout;
  run(Event::kToMinus, context);
}

void ControlProtocol::arm_timer(Context& context) {
  Negotiation& now = negotiation();
  now.restart_at = context.now + (now.retransmissions == 0 ? restart_.settings->first_restart_timer
                                                           : restart_.settings->restart_timer);
}

// ---- What we send

void ControlProtocol::send(LcpCode code, std::uint8_t identifier, Bytes data,
                           Context& context) const {
  context.send(protocol_, static_cast<std::uint8_t>(code), identifier, data);
}

void ControlProtocol::send_request(Context& context) {
  // A repeated request keeps its Identifier, so that an answer to either copy counts. A changed
  // one, or one after an answer, takes a new one (RFC 1661 §5.1).
  Negotiation& now = negotiation();
  if (now.request_changed || !now.request_outstanding) {
    std::array<std::byte, kRequestCapacity> buffer;
    Writer writer(buffer);
    for (ConfigOption* option : options()) option->request(writer);
    now.request.assign(writer.written().begin(), writer.written().end());
    ++next_identifier_;
    request_identifier_ = next_identifier_;
    now.request_changed = false;
  }
  now.request_outstanding = true;
  now.request_sent_at = context.now;
  if (now.restart_count > 0) --now.restart_count;
  send(LcpCode::kConfigureRequest, request_identifier_, now.request, context);
  arm_timer(context);
}

void ControlProtocol::resend_request(Context& context) {
  Negotiation& now = negotiation();
  if (!now.request_outstanding || now.early_resends >= kEarlyResends) return;
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
  for (const ConfigOption* option : options()) {
    if (option->failure() == EndReason::kNone) continue;
    fail(option->failure(), context);
    return false;
  }
  return true;
}

ConfigOption* ControlProtocol::find_option(std::uint8_t type) noexcept {
  for (ConfigOption* option : options())
    if (option->type() == type) return option;
  return nullptr;
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
        negotiation().restart_count = 0;
        negotiation().retransmissions = 0;
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
    negotiation().restart_count = restart_.max_configure;
  }
  // Ours goes first: after our Ack the peer may be open, where a request makes it start over.
  Negotiation& now = negotiation();
  if (state_ == State::kReqSent && !now.peer_requested &&
      context.now - now.request_sent_at >= kLateRequest)
    resend_request(context);
  now.peer_requested = true;

  Answer answer;
  if (!judge(packet, answer, context)) return;
  const bool good = answer.code == LcpCode::kConfigureAck;
  const Answer* const outer = std::exchange(now.answer, &answer);
  run(good ? Event::kRcrPlus : Event::kRcrMinus, context);
  now.answer = outer;

  if (good && state_ == State::kAckSent && request_is_stale()) {
    now.request_changed = true;
    send_request(context);
  }
}

bool ControlProtocol::judge(const wire::ControlPacket& packet, Answer& answer, Context& context) {
  std::array<std::byte, kAnswerCapacity> nak_buffer, nakked_buffer, reject_buffer;
  Writer naks(nak_buffer);       // what we suggest
  Writer nakked(nakked_buffer);  // what the peer had asked for in their place
  Writer rejects(reject_buffer);
  std::bitset<256> seen, unresolved;
  bool alone = false;  // one option's Nak is the whole answer
  Bytes naks_alone;

  for (ConfigOption* option : options()) option->begin_judging();
  wire::OptionReader reader(packet.data);
  while (const auto option = reader.next()) {
    ConfigOption* const known = find_option(option->type);
    // RFC 1661 §6: no option twice, unless it says so.
    if (known == nullptr || seen[option->type]) {
      rejects.write_bytes(option->whole);
      continue;
    }
    seen[option->type] = true;
    const std::size_t naks_before = naks.size();
    Judgement judgement = known->judge(*option, naks, context);
    // Only what comes back to us as we sent it is answered as a loop; to a peer a Reject goes
    // first.
    if (judgement == Judgement::kNakAlone && !equal(packet.data, negotiation().request))
      judgement = Judgement::kNak;
    switch (judgement) {
      case Judgement::kAck:
        break;
      case Judgement::kNak:
        nakked.write_bytes(option->whole);
        unresolved[option->type] = true;
        break;
      case Judgement::kReject:
        rejects.write_bytes(option->whole);
        break;
      case Judgement::kNakAlone:
        alone = true;
        naks_alone = naks.written().subspan(naks_before);
        break;
    }
    if (alone) break;
  }
  if (!check_options(context)) return false;
  for (ConfigOption* option : options()) {
    if (alone || seen[option->type()]) continue;
    const std::size_t before = naks.size();
    option->judge_missing(naks);
    if (naks.size() != before) unresolved[option->type()] = true;
  }

  answer.identifier = packet.identifier;
  const auto answer_with = [&answer](LcpCode code, Bytes options) {
    answer.code = code;
    answer.options.assign(options.begin(), options.end());
  };
  if (alone) {
    answer_with(LcpCode::kConfigureNak, naks_alone);
  } else if (rejects.size() != 0) {
    answer_with(LcpCode::kConfigureReject, rejects.written());
  } else if (naks.size() == 0) {
    answer_with(LcpCode::kConfigureAck, packet.data);
  } else if (negotiation().naks_sent < restart_.settings->max_failure) {
    ++negotiation_->naks_sent;
    answer_with(LcpCode::kConfigureNak, naks.written());
  } else {
    // RFC 1661 §4.6 Max-Failure: Naks become Rejects, and nothing is suggested any more.
    for (ConfigOption* option : options()) {
      if (!unresolved[option->type()]) continue;
      const EndReason reason = option->on_unresolved();
      if (reason == EndReason::kNone) continue;
      fail(reason, context);
      return false;
    }
    if (nakked.size() != 0)
      answer_with(LcpCode::kConfigureReject, nakked.written());
    else
      answer_with(LcpCode::kConfigureAck, packet.data);
  }
  return answer.code == LcpCode::kConfigureAck || count_round(peer_rounds_, context);
}

bool ControlProtocol::answers_our_request(const wire::ControlPacket& packet) const noexcept {
  return negotiation_ && negotiation_->request_outstanding &&
         packet.identifier == request_identifier_;
}

void ControlProtocol::on_configure_ack(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || state_ == State::kStopped) return run(Event::kRca, context);
  // RFC 1661 §5.2: the options must be exactly those of the request.
  if (!answers_our_request(packet) || !equal(packet.data, negotiation_->request)) return;
  negotiation_->request_outstanding = false;
  for (ConfigOption* option : options()) option->on_ack();
  run(Event::kRca, context);
}

void ControlProtocol::on_configure_nak(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || state_ == State::kStopped) return run(Event::kRcn, context);
  if (!answers_our_request(packet) || !wire::options_well_formed(packet.data)) return;
  negotiation_->request_outstanding = false;
  negotiation_->request_changed = true;
  wire::OptionReader reader(packet.data);
  while (const auto option = reader.next())
    if (ConfigOption* const known = find_option(option->type)) known->on_nak(*option, context);
  if (check_options(context)) run(Event::kRcn, context);
}

void ControlProtocol::on_configure_reject(const wire::ControlPacket& packet, Context& context) {
  if (state_ == State::kClosed || state_ == State::kStopped) return run(Event::kRcn, context);
  if (!answers_our_request(packet) || packet.data.empty() ||
      !wire::options_well_formed(packet.data))
    return;
  // RFC 1661 §5.4: a subset of our options, unchanged and in their order.
  wire::OptionReader rejected(packet.data);
  wire::OptionReader ours(negotiation_->request);
  while (const auto option = rejected.next()) {
    auto own = ours.next();
    while (own && !equal(own->whole, option->whole)) own = ours.next();
    if (!own) return;
  }
  negotiation_->request_outstanding = false;
  negotiation_->request_changed = true;
  wire::OptionReader reader(packet.data);
  while (const auto option = reader.next())
    if (ConfigOption* const known = find_option(option->type)) known->on_reject(context);
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
