// SPDX-License-Identifier: BSD-3-Clause
//
// Service: drain, and the end of many calls at once; see world.hpp for what is fake.
#include <catch2/catch.hpp>
#include <deque>

#include "controlplane/subscriber/service.hpp"
#include "tests/unit/subscriber/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::wire::pptp;

namespace {

std::size_t open_now(Control& control) {
  return static_cast<std::size_t>(
      control.statistics.sessions_by_phase[static_cast<std::size_t>(model::LinkPhase::kOpen)]
          .get());
}

void establish(Control& control, Caller& caller, std::size_t wanted = 1) {
  caller.start(control);
  caller.dial(1);
  REQUIRE(control.until([&] { return open_now(control) == wanted; }));
}

// The answer to a dial: result code.
int dial(Control& control, Caller& caller, std::uint16_t call_id) {
  const auto before = caller.count<OutgoingCallReply>();
  caller.dial(call_id);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == before + 1; }));
  return caller.last<OutgoingCallReply>()->result_code;
}

constexpr auto kConnected = static_cast<int>(OutgoingCallResult::kConnected);
constexpr auto kDoNotAccept = static_cast<int>(OutgoingCallResult::kDoNotAccept);

}  // namespace

TEST_CASE("subscriber: while it drains no call is taken and none is ended, until it is cancelled",
          "[subscriber][drain]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  CHECK_FALSE(control.service->drain().view().draining);
  control.service->drain().start(std::nullopt);
  const auto view = control.service->drain().view();
  CHECK(view.draining);
  CHECK(view.calls_left == 1);
  CHECK(view.calls_at_start == 1);
  CHECK(view.connections == 1);
  CHECK_FALSE(view.deadline_s);
  CHECK(control.statistics.draining.get() == 1);
  CHECK(control.statistics.drain_calls_left.get() == 1);

  Caller late(control);  // its connection is taken, its calls are not
  late.start(control);
  CHECK(dial(control, late, 2) == kDoNotAccept);
  CHECK(dial(control, caller, 9) == kDoNotAccept);
  late.send(IncomingCallRequest{.call_id = 3});
  REQUIRE(control.until([&] { return late.last<IncomingCallReply>() != nullptr; }));
  CHECK(late.last<IncomingCallReply>()->result_code ==
        static_cast<int>(IncomingCallResult::kDoNotAccept));
  EndReason placed = EndReason::kNone;
  control.service->place_call({.pac = PacHost::kAddress, .call = {}},
                              [&](const subscriber::PlacedCall& call) { placed = call.failure; });
  CHECK(placed == EndReason::draining);
  CHECK(control.ended(EndReason::draining) == 4);
  CHECK(open_now(control) == 1);
  CHECK(control.service->drain().view().calls_left == 1);

  control.service->drain().cancel();
  CHECK_FALSE(control.service->drain().view().draining);
  CHECK(control.statistics.draining.get() == 0);
  CHECK_FALSE(control.stored().drain);
  CHECK(dial(control, late, 2) == kConnected);
  CHECK(open_now(control) >= 1);
}

TEST_CASE("subscriber: a drain refuses what waits for its set-up, and lets set-ups in flight go on",
          "[subscriber][drain]") {
  Host host;
  host.config.pptp.admission.set_ups = host.config.pptp.admission.per_source_set_ups = 1;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  caller.dial(1);
  caller.dial(2);
  caller.barrier(control);
  REQUIRE(control.statistics.admission_waiting.get() == 1);
  control.service->drain().start(std::nullopt);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 1; }));
  CHECK(caller.last<OutgoingCallReply>()->peers_call_id == 2);
  CHECK(caller.last<OutgoingCallReply>()->result_code == kDoNotAccept);
  CHECK(control.service->drain().view().calls_left == 1);
  host.dataplane.hold_installs = false;
  CHECK(control.until([&] { return open_now(control) == 1; }));
}

TEST_CASE("subscriber: at the deadline of a drain calls and idle connections are ended politely",
          "[subscriber][drain]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  Caller idle(control);
  idle.start(control);
  control.service->drain().start(Seconds(1000));
  CHECK(control.service->drain().view().deadline_s == 1000);
  control.settle();
  CHECK(open_now(control) == 1);
  const auto since = control.stored().drain.value().since_ns;
  control.service->drain().start(Seconds(0));
  CHECK(control.stored().drain.value().since_ns == since);  // the same drain, another deadline
  REQUIRE(control.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(control.until([&] { return control.all_free(); }));
  CHECK(control.ended(EndReason::draining) == 1);
  REQUIRE(control.until([&] { return idle.last<StopControlConnectionRequest>() != nullptr; }));
  REQUIRE(control.until([&] { return caller.last<StopControlConnectionRequest>() != nullptr; }));
  CHECK(caller.last<StopControlConnectionRequest>()->reason ==
        static_cast<int>(StopReason::kStopLocalShutdown));
  CHECK(control.service->drain().view().draining);
  CHECK(control.service->drain().view().calls_left == 0);
  Caller late(control);  // is told, not cut off
  late.start(control);
  CHECK(dial(control, late, 2) == kDoNotAccept);
}

TEST_CASE("subscriber: a drain outlives the control process, and not the server",
          "[subscriber][drain][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  establish(*first, caller);
  first->service->drain().start(Seconds(1000));
  const auto stored = first->stored().drain;
  REQUIRE(stored);
  first.reset();
  SECTION("the next process drains still") {
    Control second(host);
    REQUIRE(second.until([&] { return open_now(second) == 1; }));
    CHECK(second.stored().drain == stored);
    const auto view = second.service->drain().view();
    CHECK(view.draining);
    CHECK(view.calls_left == 1);
    CHECK(view.calls_at_start == 1);
    CHECK(view.deadline_s.value() > 990);
    CHECK(second.statistics.draining.get() == 1);
    CHECK(dial(second, caller, 5) == kDoNotAccept);
  }
  SECTION("the first process of a new server does not") {
    host.memory.header().process(contract::Process::kControl).starts = 1;
    Control second(host);
    CHECK_FALSE(second.service->drain().view().draining);
    CHECK_FALSE(second.stored().drain);
    CHECK(dial(second, caller, 5) == kConnected);
  }
}

TEST_CASE("subscriber: many calls end a slice at a time, with others' turns between",
          "[subscriber][drain]") {
  constexpr std::uint16_t kCallers = 30, kCallsOfEach = 20, kCalls = kCallers * kCallsOfEach;
  Host host(1000);
  host.config.pools["default"].ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a403ffe)}};
  Control control(host);
  std::deque<Caller> callers;
  for (std::uint16_t i = 0; i < kCallers; ++i) {
    Caller& caller = callers.emplace_back(control);
    caller.start(control);
    for (std::uint16_t call = 0; call < kCallsOfEach; ++call)
      caller.dial(static_cast<std::uint16_t>(i * kCallsOfEach + call));
  }
  REQUIRE(control.until([&] { return open_now(control) == kCalls; }));
  host.dataplane.run_ppp = false;  // nobody answers Terminate-Requests
  control.settle();
  const auto injected = [&] { return host.dataplane.seen[contract::MessageType::kInjectFrame]; };
  const int before = injected();
  SECTION("of a drain") {
    control.service->drain().start(Seconds(0));
    REQUIRE(control.until([&] { return injected() != before; }));
    CHECK(injected() - before <= 200);
    CHECK(control.until([&] { return injected() - before == kCalls; }));
  }
  SECTION("of a drain that is cancelled: the others live") {
    control.service->drain().start(Seconds(0));
    REQUIRE(control.until([&] { return injected() != before; }));
    control.service->drain().cancel();
    control.settle();
    CHECK(open_now(control) >= kCalls - 200);
  }
  SECTION("of the server") {
    bool done = false;
    control.service->shut_down(Milliseconds(2000), [&] { done = true; });
    REQUIRE(control.until([&] { return injected() != before; }));
    CHECK(injected() - before <= 512);
    CHECK(control.until([&] { return injected() - before == kCalls; }));
    CHECK(control.until([&] { return done; }));
    for (Caller& caller : callers) {
      CHECK(caller.count<CallDisconnectNotify>() == kCallsOfEach);
      CHECK(caller.last<StopControlConnectionRequest>() != nullptr);
    }
  }
}
