// SPDX-License-Identifier: BSD-3-Clause
//
// A conversation with a pptp::ControlConnection, in every role. First octet: who opened it and how
// it is set up. Then steps of three octets: what happens, and two numbers that choose call, id and
// code. Ids are taken from those in use, most of the time, so that a fuzzer gets past the look-up;
// our side keeps books on what it is asked, and every call must end in them exactly once.
#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "controlplane/pptp/control_connection.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using namespace pns::pptp;
using namespace pns::wire::pptp;

class Driver {
 public:
  Driver(const ConnectionSettings& settings, bool originated)
      : settings_(settings),
        connection_(originated ? ControlConnection::originate(settings, now_)
                               : ControlConnection(settings, now_)) {
    if (originated) perform(connection_.open(now_));
  }

  [[nodiscard]] bool closed() const { return closed_; }

  void step(std::uint8_t what, std::uint8_t a, std::uint8_t b) {
    switch (what % 32) {
      case 0:
        return hear(StartControlConnectionRequest{
            .protocol_version = a < 0xf0 ? kProtocolVersion : static_cast<std::uint16_t>(b << 8)});
      case 1:
        return hear(StartControlConnectionReply{
            .protocol_version = a < 0xf0 ? kProtocolVersion : static_cast<std::uint16_t>(b << 8),
            .result_code = static_cast<std::uint8_t>(b % 6)});
      case 2:
        return a < 0xe0 ? hear(EchoRequest{b}) : hear(StopControlConnectionRequest{b});
      case 3:
        return a < 0xe0 ? hear(EchoReply{b, 1, 0}) : hear(StopControlConnectionReply{b, 0});
      case 4:
      case 5:
        return hear(OutgoingCallRequest{.call_id = fresh(a), .maximum_bps = b * 1000u});
      case 6:
      case 7:
        return hear(IncomingCallRequest{.call_id = fresh(a), .dialed_number_length = b});
      case 8:
      case 9:
        return hear(OutgoingCallReply{.call_id = fresh(b),
                                      .peers_call_id = ours(a),
                                      .result_code = static_cast<std::uint8_t>(b % 9),
                                      .cause_code = b});
      case 10:
      case 11:
        return hear(IncomingCallReply{.call_id = fresh(b),
                                      .peers_call_id = ours(a),
                                      .result_code = static_cast<std::uint8_t>(b % 5)});
      case 12:
      case 13:
        return hear(IncomingCallConnected{.peers_call_id = ours(a)});
      case 14:
        return hear(CallClearRequest{theirs(a)});
      case 15:
        return hear(CallClearRequest{ours(a)});
      case 16:
        return hear(CallDisconnectNotify{.call_id = theirs(a), .result_code = b});
      case 17:
        return hear(CallDisconnectNotify{.call_id = ours(a), .result_code = b});
      case 18:
        return hear(WanErrorNotify{ours(a), b, b, b, b, b, b});
      case 19:
        return hear(SetLinkInfo{a < 0x80 ? ours(a) : theirs(a), b, b});
      case 20:
      case 21:
        return accept(a);
      case 22:
        return refuse(a, b);
      case 23:
        return place(a);
      case 24:
        return announce(a);
      case 25:
        return end(a, b);
      case 26:
        return perform(connection_.our_calls().report_wan_errors(OurCallId(ours(a)),
                                                                 {{0, 0, 0, b, 0, 0}}, now_));
      case 27:
        now_ += Milliseconds(a * 256 + b);
        return;
      case 28:
        return wait();
      case 29:
        if (a == 0xff) return perform(connection_.on_frame_error(FrameError::kBadLength, now_));
        if (a == 0xfe) return perform(connection_.on_collision(now_));
        if (a == 0xfd) return perform(connection_.on_tcp_closed(EndReason::peer_reset_tcp, now_));
        if (a == 0xfc) return perform(connection_.stop(EndReason::shutting_down, now_));
        return;
      case 30:
        return take_over();
      default:
        return;
    }
  }

  // Whatever is left ends.
  void finish() {
    perform(connection_.on_tcp_closed(EndReason::peer_closed_tcp, now_));
    PNS_CLAIM(offers_.empty() && calls_.empty());
    PNS_CLAIM(!connection_.deadline());
    silent_ = true;
    hear(EchoRequest{1});
    perform(connection_.place_call(OurCallId(60'000), {}, now_), true);
  }

 private:
  void hear(const Message& message) { perform(connection_.on_message(message, now_)); }

  void perform(const model::ConnectionActions& actions, bool refused_at_once = false) {
    if (refused_at_once) {  // only EndCall may come, for the id that was just given
      PNS_CLAIM(actions.size() == 1 && std::holds_alternative<model::EndCall>(actions[0]));
      return;
    }
    if (silent_) PNS_CLAIM(actions.empty());
    for (const auto& action : actions) {
      PNS_CLAIM(!closed_);
      std::visit([this](const auto& a) { on(a); }, action);
    }
    if (connection_.state() == ConnectionState::kClosed) closed_ = true;
    check();
  }

  void on(const model::SendMessage& send) {
    std::byte buffer[kLongestMessage];
    const std::size_t size = write_message(buffer, send.message);
    PNS_CLAIM(size != 0);
    PNS_CLAIM(parse_message(Bytes(buffer, size)) == send.message);
    // Never sent, whatever happens (§2.15).
    PNS_CLAIM(!std::holds_alternative<SetLinkInfo>(send.message));
    if (std::holds_alternative<WanErrorNotify>(send.message)) PNS_CLAIM(settings_.wan_error_notify);
  }
  void on(const model::OfferCall& offer) {
    PNS_CLAIM(offer.kind == model::CallKind::kSubscriber ||
              offer.kind == model::CallKind::kIncoming);
    PNS_CLAIM(offers_.insert(offer.offer).second);
  }
  void on(const model::WithdrawOffer& withdraw) { PNS_CLAIM(offers_.erase(withdraw.offer) == 1); }
  void on(const model::RefuseCall& refusal) { PNS_CLAIM(refusal.reason != EndReason::kNone); }
  void on(const model::ConnectCall& connect) {
    const auto found = calls_.find(connect.our_call_id);
    PNS_CLAIM(found != calls_.end());
    PNS_CLAIM(!found->second);  // connected once
    found->second = true;
  }
  void on(const model::EndCall& end) {
    PNS_CLAIM(end.reason != EndReason::kNone);
    PNS_CLAIM(calls_.erase(end.our_call_id) == 1);  // once, and only what there was
  }
  void on(const model::ReportWanErrors& errors) { PNS_CLAIM(known(errors.our_call_id)); }
  void on(const model::CloseConnection& close) {
    PNS_CLAIM(close.reason != EndReason::kNone);
    PNS_CLAIM(calls_.empty() && offers_.empty());
    closed_ = true;
  }

  void check() const {
    PNS_CLAIM(connection_.calls().size() <= settings_.maximum_calls);
    PNS_CLAIM((connection_.state() == ConnectionState::kClosed) == closed_);
    PNS_CLAIM(connection_.deadline().has_value() == !closed_);
    std::size_t live = 0;
    std::set<std::uint32_t> numbers;
    std::set<OurCallId> ours;
    for (const Call& call : connection_.calls()) {
      PNS_CLAIM(numbers.insert(call.number).second);
      PNS_CLAIM(call.state != CallState::kIdle);
      if (call.our_call_id) PNS_CLAIM(ours.insert(*call.our_call_id).second);
      // Whatever waits, waits for a bounded time.
      PNS_CLAIM(call.answer_by.has_value() == (call.state != CallState::kEstablished));
      if (call.state == CallState::kWaitDisconnect)
        PNS_CLAIM(!calls_.contains(call.our_call_id.value()));
      else if (call.our_call_id)
        PNS_CLAIM(calls_.contains(*call.our_call_id));
      else
        PNS_CLAIM(offers_.contains(call.number));
      live += call.state != CallState::kWaitDisconnect ? 1 : 0;
    }
    PNS_CLAIM(live == calls_.size() + offers_.size());
    if (connection_.state() != ConnectionState::kEstablished)
      PNS_CLAIM(connection_.calls().empty());
  }

  // ---- Ids: mostly of a call that there is.
  [[nodiscard]] bool known(OurCallId id) const {
    return std::any_of(connection_.calls().begin(), connection_.calls().end(),
                       [id](const Call& call) { return call.our_call_id == id; });
  }
  [[nodiscard]] const Call* pick(std::uint8_t a) const {
    const auto& calls = connection_.calls();
    return calls.empty() || a >= 0xf0 ? nullptr : &calls[a % calls.size()];
  }
  [[nodiscard]] std::uint16_t ours(std::uint8_t a) const {
    const Call* call = pick(a);
    return call != nullptr && call->our_call_id ? call->our_call_id->value : a;
  }
  [[nodiscard]] std::uint16_t theirs(std::uint8_t a) const {
    const Call* call = pick(a);
    return call != nullptr && call->peer_call_id ? call->peer_call_id->value : a;
  }
  // Few values: they collide, and now and then is 0.
  [[nodiscard]] static std::uint16_t fresh(std::uint8_t a) { return a % 16; }

  // ---- Our side.
  OurCallId new_id() {
    OurCallId id(++next_);
    calls_.emplace(id, false);
    return id;
  }
  [[nodiscard]] std::uint32_t offer(std::uint8_t a) {
    if (offers_.empty() || a >= 0xf0) return a;  // gone, or never there
    auto at = offers_.begin();
    std::advance(at, a % static_cast<int>(offers_.size()));
    return *at;
  }
  void accept(std::uint8_t a) {
    const std::uint32_t number = offer(a);
    const bool subscriber =
        std::any_of(connection_.calls().begin(), connection_.calls().end(), [&](const Call& call) {
          return call.number == number && call.kind == model::CallKind::kSubscriber;
        });
    offers_.erase(number);
    const OurCallId id = new_id();
    if (subscriber) calls_[id] = true;  // our Reply connects it
    perform(connection_.our_calls().accept(number, id, now_));
  }
  void refuse(std::uint8_t a, std::uint8_t b) {
    const std::uint32_t number = offer(a);
    offers_.erase(number);
    const auto reason = static_cast<EndReason>(1 + b % (kEndReasonCount - 1));
    perform(connection_.our_calls().refuse(number, reason, now_));
  }
  void place(std::uint8_t a) {
    OutgoingCall call;
    call.phone_number.assign(a, '5');  // may be longer than its field
    perform(connection_.place_call(new_id(), call, now_));
  }
  void announce(std::uint8_t a) {
    IncomingCall call;
    call.dialing_number.assign(a, '6');
    perform(connection_.announce_call(new_id(), call, now_));
  }
  void end(std::uint8_t a, std::uint8_t b) {
    const auto reason = static_cast<EndReason>(1 + b % (kEndReasonCount - 1));
    perform(connection_.our_calls().end(OurCallId(ours(a)), reason, {.rx_packets = b}, now_));
  }
  void wait() {
    const auto deadline = connection_.deadline();
    if (!deadline) return;
    now_ = std::max(now_, *deadline);
    perform(connection_.on_deadline(now_));
    PNS_CLAIM(!connection_.deadline() || *connection_.deadline() > now_);
  }
  // A successor takes over what the peer knows of, and its requests without an answer.
  void take_over() {
    const auto snapshot = connection_.snapshot();
    if (!snapshot) return;
    ControlConnection again(settings_, *snapshot, now_);
    PNS_CLAIM(again.snapshot() == snapshot);
    PNS_CLAIM(again.originated() == connection_.originated());
    connection_ = std::move(again);
    const std::size_t unanswered = offers_.size();
    offers_.clear();
    perform(connection_.our_calls().offers());  // each is asked once more
    PNS_CLAIM(offers_.size() == unanswered);
  }

  TimePoint now_{Seconds(1000)};
  ConnectionSettings settings_;
  std::uint16_t next_ = 1000;
  std::set<std::uint32_t> offers_;
  std::map<OurCallId, bool> calls_;  // connected?
  bool closed_ = false;
  bool silent_ = false;
  ControlConnection connection_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t how = input.octet();
  ConnectionSettings settings;
  settings.maximum_calls = 1 + how % 8;
  settings.message_burst = (how & 0x10) != 0 ? 20 : 2000;
  settings.accept_incoming_calls = (how & 0x20) == 0;
  settings.wan_error_notify = (how & 0x40) != 0;
  Driver driver(settings, (how & 0x80) != 0);
  for (int steps = 0; !input.empty() && !driver.closed() && steps < 3000; ++steps) {
    const std::uint8_t what = input.octet();
    const std::uint8_t a = input.octet();
    driver.step(what, a, input.octet());
  }
  driver.finish();
  return 0;
}
