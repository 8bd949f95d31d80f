// SPDX-License-Identifier: BSD-3-Clause
//
// Service: calls that wait for their set-up; see world.hpp for what is fake.
#include <catch2/catch.hpp>
#include <string>

#include "controlplane/subscriber/service.hpp"
#include "tests/unit/subscriber/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::wire::pptp;

namespace {

constexpr Ipv4Address kOther{0xcb007106};
constexpr auto kBusy = static_cast<std::uint8_t>(OutgoingCallResult::kBusy);

std::size_t in_state(Control& control, const std::string& state) {
  return static_cast<std::size_t>(
      std::ranges::count(sessions_of(*control.service), state, &subscriber::SessionView::state));
}

std::int64_t waiting(Control& control) { return control.statistics.admission_waiting.get(); }
std::int64_t in_flight(Control& control) { return control.statistics.admission_in_flight.get(); }

}  // namespace

TEST_CASE("subscriber: a set-up is in flight until its link is open, then the next one begins",
          "[subscriber][admission]") {
  Host host;
  host.config.pptp.admission.set_ups = 2;
  host.config.pptp.admission.per_source_set_ups = 2;
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  for (std::uint16_t call = 1; call <= 5; ++call) caller.dial(call);
  caller.barrier(control);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 2; }));
  control.settle();
  CHECK(sessions_of(*control.service).size() == 2);
  CHECK(in_flight(control) == 2);
  CHECK(waiting(control) == 3);
  // One of the two is cleared: the third begins. Then all may go on.
  host.dataplane.run_ppp = true;
  caller.send(CallClearRequest{.call_id = 1});
  REQUIRE(control.until([&] { return in_state(control, "open") == 3; }));
  CHECK(waiting(control) == 0);
  CHECK(in_flight(control) == 1);  // the second, whose LCP waits for its timer
  CHECK(control.statistics.admission_wait.count.get() == 5);
  CHECK(control.statistics.setup_time.count.get() == 3);
  std::vector<std::uint16_t> order;
  for (const auto& [slot, call] : host.dataplane.installed_calls) order.push_back(call);
  CHECK(order == std::vector<std::uint16_t>{1, 2, 3, 4, 5});
}

TEST_CASE("subscriber: a source that dials and says nothing keeps no other out",
          "[subscriber][admission]") {
  Host host(64);
  host.config.pptp.admission.set_ups = 8;
  host.config.pptp.admission.per_source_set_ups = 2;
  host.config.pptp.admission.per_source_waiting = 10;
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller silent(control);
  silent.start(control);
  for (std::uint16_t call = 1; call <= 20; ++call) silent.dial(call);
  REQUIRE(control.until([&] { return silent.count<OutgoingCallReply>() == 2 + 8; }));
  CHECK(std::ranges::count_if(silent.read(), [](const Message& message) {
          const auto* reply = std::get_if<OutgoingCallReply>(&message);
          return reply != nullptr && reply->result_code == kBusy;
        }) == 8);
  CHECK(control.ended(EndReason::source_limit) == 8);
  CHECK(waiting(control) == 10);
  control.settle();  // what PPP says to it is lost
  host.dataplane.run_ppp = true;
  Caller good(control, Caller::kLocal, kOther);
  good.start(control);
  good.dial(1);
  REQUIRE(control.until([&] { return in_state(control, "open") == 1; }));
  CHECK(waiting(control) == 10);
  // Gone, it leaves nothing.
  silent.hang_up();
  REQUIRE(control.until([&] { return sessions_of(*control.service).size() == 1; }));
  CHECK(waiting(control) == 0);
  CHECK(in_flight(control) == 0);
}

TEST_CASE("subscriber: a set-up that dawdles gives its place to others",
          "[subscriber][admission]") {
  Host host;
  auto& admission = host.config.pptp.admission;
  admission.set_ups = admission.per_source_set_ups = 1;
  admission.set_up_time = Milliseconds(200);
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller silent(control);
  silent.start(control);
  silent.dial(1);
  REQUIRE(control.until([&] { return silent.last<OutgoingCallReply>() != nullptr; }));
  control.settle();  // what PPP says to it is lost
  host.dataplane.run_ppp = true;
  Caller good(control, Caller::kLocal, kOther);
  good.start(control);
  good.dial(1);
  good.barrier(control);
  CHECK(waiting(control) == 1);
  CHECK(control.until([&] { return in_state(control, "open") == 1; }));
  // No timer runs in circles where nothing waits.
  control.loop.restart();
  CHECK(control.loop.poll() < 10);
}

TEST_CASE("subscriber: a call that waits too long is refused as busy, and one of too many at once",
          "[subscriber][admission]") {
  Host host;
  auto& admission = host.config.pptp.admission;
  admission.set_ups = admission.per_source_set_ups = 1;
  admission.waiting = 2;
  admission.wait = Milliseconds(300);
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  for (std::uint16_t call = 1; call <= 4; ++call) caller.dial(call);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 2; }));
  CHECK(control.ended(EndReason::admission_queue_full) == 1);
  CHECK(caller.last<OutgoingCallReply>()->peers_call_id == 4);
  CHECK(caller.last<OutgoingCallReply>()->result_code == kBusy);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 4; }));
  CHECK(control.ended(EndReason::admission_timeout) == 2);
  CHECK(caller.last<OutgoingCallReply>()->result_code == kBusy);
  CHECK(connections_of(*control.service).size() == 1);
  caller.dial(5);  // its place is free again
  caller.barrier(control);
  CHECK(waiting(control) == 1);
}

TEST_CASE("subscriber: what waits when the dataplane is lost is set up when it is back",
          "[subscriber][admission]") {
  Host host;
  host.config.pptp.admission.set_ups = host.config.pptp.admission.per_source_set_ups = 1;
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  caller.dial(1);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 1; }));
  caller.dial(2);
  caller.barrier(control);
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  caller.send(CallClearRequest{.call_id = 1});
  caller.barrier(control);
  CHECK(waiting(control) == 1);
  host.dataplane.run_ppp = true;
  host.dataplane.back();
  CHECK(control.until([&] { return in_state(control, "open") == 1; }));
  CHECK(control.ended(EndReason::dataplane_unavailable) == 0);
}

TEST_CASE("subscriber: shutting down refuses what waits", "[subscriber][admission]") {
  Host host;
  host.config.pptp.admission.set_ups = host.config.pptp.admission.per_source_set_ups = 1;
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  caller.dial(1);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 1; }));
  caller.dial(2);
  caller.barrier(control);
  REQUIRE(waiting(control) == 1);
  bool done = false;
  control.service->shut_down(Milliseconds(400), [&] { done = true; });
  CHECK(control.until([&] { return caller.count<OutgoingCallReply>() == 2; }));
  CHECK(control.until([&] { return done; }));
  CHECK(waiting(control) == 0);
}
