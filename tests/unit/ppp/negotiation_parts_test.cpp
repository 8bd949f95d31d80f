// SPDX-License-Identifier: BSD-3-Clause
//
// The parts of a negotiation, each alone: RestartTimer, OwnRequest and judge_request().
// negotiation_test.cpp has them together.
#include <array>
#include <catch2/catch.hpp>

#include "controlplane/ppp/own_request.hpp"
#include "controlplane/ppp/request_judge.hpp"
#include "controlplane/ppp/restart_timer.hpp"
#include "tests/support/layer_events.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;

namespace {

// An option of one octet. It judges as it was told, and suggests 07.
class Fixed final : public ConfigOption {
 public:
  Fixed(std::uint8_t type, Judgement judgement) : ConfigOption(type), judgement_(judgement) {}
  void request(Writer& out) override { write(out, 0x01); }
  Judgement judge(const wire::Option&, Writer& nak, Context&) override {
    if (judgement_ == Judgement::kNak || judgement_ == Judgement::kNakAlone) write(nak, 0x07);
    return judgement_;
  }
  void judge_missing(Writer& nak) override {
    if (demanded) write(nak, 0x07);
  }
  EndReason on_unresolved() override { return unresolved; }

  bool demanded = false;
  EndReason unresolved = EndReason::kNone;

 private:
  void write(Writer& out, std::uint8_t value) {
    out.write_u8(type());
    out.write_u8(3);
    out.write_u8(value);
  }
  Judgement judgement_;
};

struct Judge {
  std::expected<RequestAnswer, EndReason> answer(std::string_view request) {
    const Octets data = octets(request);
    Context context = events.context();
    return judge_request({.code = 1, .identifier = 9, .data = data, .whole = data}, options, own,
                         naks, context);
  }
  // "CODE OPTIONS", or the reason of the failure.
  std::string text(std::string_view request) {
    const auto answered = answer(request);
    if (!answered) return std::string(name_of(answered.error()));
    CHECK(answered->identifier == 9);
    const auto code = answered->code == wire::LcpCode::kConfigureAck   ? "ack "
                      : answered->code == wire::LcpCode::kConfigureNak ? "nak "
                                                                       : "reject ";
    return code + hex(answered->options);
  }
  LayerEvents events;
  std::vector<ConfigOption*> options;
  Octets own;
  NakCount naks{.max_failure = 2};
};

}  // namespace

TEST_CASE("restart timer: the first wait is short, and tries run out", "[ppp][rfc1661-4.6]") {
  LinkSettings settings;
  settings.first_restart_timer = Seconds(1);
  settings.restart_timer = Seconds(3);
  constexpr TimePoint kBegin{Seconds(1000)};
  RestartTimer timer(2);
  CHECK_FALSE(timer.deadline());
  CHECK_FALSE(timer.is_due(kBegin));
  timer.count_request();
  timer.arm(settings, kBegin);
  CHECK(timer.deadline() == kBegin + Seconds(1));
  CHECK_FALSE(timer.is_due(kBegin + Milliseconds(999)));
  REQUIRE(timer.is_due(kBegin + Seconds(1)));
  CHECK(timer.expire());
  CHECK_FALSE(timer.deadline());
  timer.count_request();
  timer.arm(settings, kBegin);
  CHECK(timer.deadline() == kBegin + Seconds(3));
  CHECK_FALSE(timer.expire());

  timer.initialize(5);
  timer.arm(settings, kBegin);
  CHECK(timer.deadline() == kBegin + Seconds(1));
  timer.stop();
  CHECK_FALSE(timer.is_due(kBegin + Seconds(9)));
}

TEST_CASE("restart timer: other tries count those that were sent", "[ppp]") {
  RestartTimer timer(10);
  timer.count_request();
  timer.change_tries(10, 2);
  CHECK(timer.expire());  // one of the two is left
  timer.count_request();
  CHECK_FALSE(timer.expire());
}

TEST_CASE("own request: it is written anew once it has changed or was answered",
          "[ppp][rfc1661-5.1]") {
  Fixed a(5, Judgement::kAck);
  Fixed b(6, Judgement::kAck);
  const std::array<ConfigOption*, 2> options{&a, &b};
  constexpr TimePoint kBegin{Seconds(1000)};
  OwnRequest request;
  REQUIRE(request.must_be_written());
  request.write(options);
  request.on_sent(kBegin);
  CHECK(request.is_outstanding());
  CHECK_FALSE(request.must_be_written());
  CHECK(request.age(kBegin + Seconds(2)) == Seconds(2));
  request.on_refused();
  CHECK_FALSE(request.is_outstanding());
  CHECK(request.must_be_written());
  request.write(options);
  request.on_sent(kBegin);
  request.set_changed();
  CHECK(request.is_outstanding());
  CHECK(request.must_be_written());
  request.write(options);
  request.on_sent(kBegin);
  request.on_acknowledged();
  CHECK(request.must_be_written());
}

TEST_CASE("own request: an Ack has all options, a Reject some of them in order",
          "[ppp][rfc1661-5.2][rfc1661-5.4]") {
  Fixed a(5, Judgement::kAck);
  Fixed b(6, Judgement::kAck);
  Fixed c(7, Judgement::kAck);
  const std::array<ConfigOption*, 3> options{&a, &b, &c};
  OwnRequest request;
  request.write(options);
  CHECK(request.equals(octets("050301 060301 070301")));
  CHECK_FALSE(request.equals(octets("050301 070301 060301")));
  CHECK_FALSE(request.equals(octets("050301 060301")));
  CHECK(request.contains(octets("050301 070301")));
  CHECK(request.contains(octets("060301")));
  CHECK_FALSE(request.contains(octets("070301 050301")));
  CHECK_FALSE(request.contains(octets("060302")));
  CHECK_FALSE(request.contains(octets("060301 060301")));
}

TEST_CASE("request judge: a Reject goes before a Nak, and a Nak before an Ack",
          "[ppp][rfc1661-5.1]") {
  Fixed good(5, Judgement::kAck);
  Fixed other(6, Judgement::kNak);
  Fixed bad(7, Judgement::kReject);
  Judge judge;
  judge.options = {&good, &other, &bad};
  CHECK(judge.text("") == "ack ");
  CHECK(judge.text("050301") == "ack 050301");
  CHECK(judge.text("050301 060301") == "nak 060307");
  CHECK(judge.text("050301 060301 070301") == "reject 070301");
  CHECK(judge.text("050301 080301") == "reject 080301");  // no such option
  CHECK(judge.text("050301 050301") == "reject 050301");  // twice
  CHECK(judge.naks.sent == 1);
}

TEST_CASE("request judge: an option that must be there is suggested", "[ppp][rfc1661-5.3]") {
  Fixed demanded(5, Judgement::kAck);
  demanded.demanded = true;
  Judge judge;
  judge.options = {&demanded};
  CHECK(judge.text("") == "nak 050307");
  CHECK(judge.text("050301") == "ack 050301");
}

TEST_CASE("request judge: after Max-Failure Naks become Rejects, or the end",
          "[ppp][rfc1661-4.6]") {
  Fixed other(6, Judgement::kNak);
  Judge judge;
  judge.options = {&other};
  CHECK(judge.text("060301") == "nak 060307");
  CHECK(judge.text("060301") == "nak 060307");
  CHECK(judge.text("060301") == "reject 060301");
  other.unresolved = EndReason::mppe_refused;
  CHECK(judge.text("060301") == "mppe_refused");
}

TEST_CASE("request judge: only our own request come back is answered by one Nak alone", "[ppp]") {
  Fixed loop(5, Judgement::kNakAlone);
  Fixed bad(7, Judgement::kReject);
  Judge judge;
  judge.options = {&loop, &bad};
  judge.own = octets("050301 070301");
  CHECK(judge.text("050301 070301") == "nak 050307");
  CHECK(judge.naks.sent == 0);
  CHECK(judge.text("070301 050301") == "reject 070301");
}
