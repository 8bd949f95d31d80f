// SPDX-License-Identifier: BSD-3-Clause
//
// The octets of one TCP control connection → StreamFramer → ControlConnection. First octet: how the
// stream is cut and how our side answers; the rest is the stream.
#include <algorithm>
#include <set>

#include "controlplane/pptp/control_connection.hpp"
#include "controlplane/pptp/stream_framer.hpp"
#include "tests/fuzz/fuzz.hpp"

namespace {

using namespace pns;
using namespace pns::pptp;

// Our side: takes what the connection asks for, and keeps the books on it.
class Caller {
 public:
  explicit Caller(std::uint8_t habits) : habits_(habits) {}

  void perform(const model::ConnectionActions& actions) {
    for (const auto& action : actions) {
      PNS_CLAIM(!closed_);
      if (const auto* send = std::get_if<model::SendMessage>(&action)) {
        std::byte buffer[wire::pptp::kLongestMessage];
        const std::size_t size = wire::pptp::write_message(buffer, send->message);
        PNS_CLAIM(size != 0);
        PNS_CLAIM(wire::pptp::parse_message(Bytes(buffer, size)) == send->message);
      } else if (const auto* offer = std::get_if<model::OfferCall>(&action)) {
        PNS_CLAIM(offers_.insert(offer->offer).second);
      } else if (const auto* withdraw = std::get_if<model::WithdrawOffer>(&action)) {
        PNS_CLAIM(offers_.erase(withdraw->offer) == 1);
      } else if (const auto* end = std::get_if<model::EndCall>(&action)) {
        PNS_CLAIM(calls_.erase(end->our_call_id) == 1);
        PNS_CLAIM(end->reason != EndReason::kNone);
      } else if (const auto* refuse = std::get_if<model::RefuseCall>(&action)) {
        PNS_CLAIM(refuse->reason != EndReason::kNone);
      } else if (const auto* connect = std::get_if<model::ConnectCall>(&action)) {
        PNS_CLAIM(calls_.contains(connect->our_call_id));
      } else if (const auto* errors = std::get_if<model::ReportWanErrors>(&action)) {
        PNS_CLAIM(calls_.contains(errors->our_call_id));
      } else {
        closed_ = true;
        PNS_CLAIM(calls_.empty());
        PNS_CLAIM(offers_.empty());
      }
    }
  }

  void answer_offers(ControlConnection& connection, TimePoint now) {
    while (!offers_.empty() && (habits_ & 0x40) == 0) {
      const std::uint32_t offer = *offers_.begin();
      offers_.erase(offers_.begin());
      if ((offer ^ habits_) % 4 == 0) {
        perform(connection.our_calls().refuse(offer, EndReason::no_call_id, now));
      } else {
        calls_.insert(OurCallId(++next_));
        perform(connection.our_calls().accept(offer, OurCallId(next_), now));
      }
    }
  }

  void check(const ControlConnection& connection) const {
    // Calls that we have cleared stay until their notify: our caller has done with them.
    PNS_CLAIM(static_cast<std::size_t>(std::count_if(
                  connection.calls().begin(), connection.calls().end(), [](const Call& call) {
                    return call.state != CallState::kWaitDisconnect;
                  })) == calls_.size() + offers_.size());
    PNS_CLAIM((connection.state() == ControlConnection::State::kClosed) == closed_);
    PNS_CLAIM(connection.deadline().has_value() == !closed_);
  }

  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] std::set<OurCallId> calls() const { return calls_; }

 private:
  std::uint8_t habits_;
  std::uint16_t next_ = 0;
  std::set<std::uint32_t> offers_;
  std::set<OurCallId> calls_;
  bool closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const std::uint8_t habits = input.octet();
  TimePoint now{Seconds(1000)};
  ConnectionSettings settings;
  settings.maximum_calls = 8;
  settings.message_burst = 100;
  ControlConnection connection(settings, now);
  StreamFramer framer;
  Caller caller(habits);

  while (!input.empty() && !caller.closed()) {
    Bytes piece = input.octets((habits & 0x3f) + std::size_t{1});
    while (!piece.empty() && !caller.closed()) {
      // Looking ahead at these octets alone must be harmless, whatever they are.
      const auto ahead = StreamFramer::peek(piece);
      if (ahead && *ahead) PNS_CLAIM(**ahead <= piece.size());

      const std::size_t taken = framer.feed(piece);
      PNS_CLAIM(taken != 0);
      piece = piece.subspan(taken);
      while (const auto message = framer.next()) {
        if (message->has_value())
          caller.perform(connection.on_message(**message, now));
        else
          caller.perform(connection.on_frame_error(message->error(), now));
        caller.answer_offers(connection, now);
        caller.check(connection);
        if (caller.closed()) break;
      }
      PNS_CLAIM(framer.buffered() <= wire::pptp::kLongestToleratedMessage || caller.closed());
    }
    now += Milliseconds(habits);
    if ((habits & 0x80) != 0 && connection.deadline()) {
      now = std::max(now, *connection.deadline());
      caller.perform(connection.on_deadline(now));
      caller.check(connection);
      PNS_CLAIM(!connection.deadline() || *connection.deadline() > now);
    }
    if (const auto snapshot = connection.snapshot()) {
      const ControlConnection again(settings, *snapshot, now);
      PNS_CLAIM(again.snapshot() == snapshot);
    }
  }
  for (const OurCallId call : caller.calls())
    if (call.value % 2 == 0)
      caller.perform(connection.our_calls().end(call, EndReason::operator_cleared, {}, now));
  caller.perform(connection.stop(EndReason::shutting_down, now));
  if (!caller.closed()) caller.check(connection);
  return 0;
}
