// SPDX-License-Identifier: BSD-3-Clause
//
// Service with PACs: calls that they announce, calls that we place, collisions, and clients that
// share an address and a Call ID. See world.hpp for what is fake.
#include <catch2/catch.hpp>

#include "controlplane/subscriber/service.hpp"
#include "tests/unit/subscriber/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::wire::pptp;
using contract::MessageType;
using contract::ReplyResult;
using model::CallKind;
using subscriber::PlacedCall;

namespace {

bool open_calls(Control& control, std::size_t wanted) {
  return control.until([&] {
    const auto sessions = sessions_of(*control.service);
    return static_cast<std::size_t>(
               std::ranges::count(sessions, "open", &subscriber::SessionView::state)) == wanted;
  });
}

// A call that an operator placed, and what came of it.
struct Placing {
  explicit Placing(Control& control, Milliseconds timeout = Seconds(60),
                   Ipv4Address pac = PacHost::kAddress) {
    control.service->place_call(
        {.pac = pac, .call = {.phone_number = "5551234"}, .timeout = timeout},
        [result = this->result](const PlacedCall& call) {
          REQUIRE_FALSE(*result);  // once
          *result = call;
        });
  }
  [[nodiscard]] bool done() const { return result->has_value(); }
  [[nodiscard]] EndReason failure() const { return result->value().failure; }
  std::shared_ptr<std::optional<PlacedCall>> result = std::make_shared<std::optional<PlacedCall>>();
};

// The PAC's answer to the newest Outgoing-Call-Request.
std::uint16_t answer(Control& control, Caller& pac, std::uint16_t call_id,
                     std::size_t requests = 1) {
  REQUIRE(control.until([&] { return pac.count<OutgoingCallRequest>() == requests; }));
  const std::uint16_t server_call_id = pac.last<OutgoingCallRequest>()->call_id;
  pac.send(OutgoingCallReply{.call_id = call_id,
                             .peers_call_id = server_call_id,
                             .result_code = 1,
                             .packet_recv_window_size = 64});
  return server_call_id;
}

// A PAC announces a call; its Incoming-Call-Reply is there.
IncomingCallReply announce(Control& control, Caller& pac, std::uint16_t call_id,
                           std::size_t replies = 1) {
  pac.send(IncomingCallRequest{.call_id = call_id});
  REQUIRE(control.until([&] { return pac.count<IncomingCallReply>() == replies; }));
  return *pac.last<IncomingCallReply>();
}

std::int64_t now_by_kind(Control& control, CallKind kind) {
  return control.statistics.sessions_by_kind[static_cast<std::size_t>(kind)].get();
}

}  // namespace

TEST_CASE(
    "subscriber: an incoming call is installed before its Reply, and PPP starts once connected",
    "[subscriber][pac]") {
  Host host;
  Control control(host);
  Caller pac(control);
  pac.start(control);
  host.dataplane.hold_installs = true;
  pac.send(IncomingCallRequest{.call_id = 77});
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  pac.barrier(control);
  CHECK(pac.last<IncomingCallReply>() == nullptr);
  host.dataplane.hold_installs = false;
  REQUIRE(control.until([&] { return pac.last<IncomingCallReply>() != nullptr; }));
  const auto reply = *pac.last<IncomingCallReply>();
  CHECK(reply.result_code == 1);
  CHECK(reply.peers_call_id == 77);
  CHECK(reply.call_id ==
        host.memory.sessions()[host.dataplane.installed_calls.at(0).first].our_call_id.value);
  pac.barrier(control);
  CHECK(host.dataplane.seen[MessageType::kInjectFrame] == 0);  // no LCP yet
  pac.send(IncomingCallConnected{.peers_call_id = reply.call_id, .connect_speed = 64000});
  REQUIRE(open_calls(control, 1));
  const auto view = sessions_of(*control.service).at(0);
  CHECK(view.kind == "incoming");
  CHECK(view.user == "User");
  CHECK(now_by_kind(control, CallKind::kIncoming) == 1);
  CHECK(connections_of(*control.service).at(0).role == "accepted");

  SECTION("the PAC disconnects") {
    pac.send(CallDisconnectNotify{.call_id = 77, .result_code = 1});
    CHECK(control.until([&] { return control.all_free(); }));
    CHECK(control.ended(EndReason::peer_call_disconnected) == 1);
  }
  SECTION("the operator clears") {
    CHECK(clear_all(*control.service, {.user = "User"}));
    REQUIRE(control.until([&] { return pac.last<CallClearRequest>() != nullptr; }));
    CHECK(pac.last<CallClearRequest>()->call_id == reply.call_id);
    CHECK(pac.last<CallDisconnectNotify>() == nullptr);
    pac.send(CallDisconnectNotify{.call_id = 77, .result_code = 4});
    CHECK(control.until([&] { return control.all_free(); }));
    CHECK(control.ended(EndReason::operator_cleared) == 1);
    pac.barrier(control);
    CHECK(connections_of(*control.service).at(0).calls_by_kind ==
          std::array<std::size_t, model::kCallKinds>{});
  }
  CHECK(now_by_kind(control, CallKind::kIncoming) == 0);
}

TEST_CASE("subscriber: PPP that overtakes Incoming-Call-Connected is not lost",
          "[subscriber][pac]") {
  Host host;
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller pac(control);
  pac.start(control);
  const auto reply = announce(control, pac, 77);
  const auto view = sessions_of(*control.service).at(0);
  const auto request =
      frame(kLcp, kConfReq, 7, host.dataplane.clients[view.slot.value].lcp_options);
  for (int i = 0; i < 6; ++i)  // more than are kept
    control.service->on_punted({view.slot, host.memory.sessions()[view.slot.value].generation},
                               Bytes(request).subspan(2));
  CHECK(host.dataplane.seen[MessageType::kInjectFrame] == 0);
  CHECK(control.statistics.punted_frames_received.get() == 6);
  CHECK(control.statistics.punted_frames_stale.get() == 2);
  pac.send(IncomingCallConnected{.peers_call_id = reply.call_id, .connect_speed = 64000});
  // Our Configure-Request, and an Ack for each of the client's.
  CHECK(control.until([&] { return host.dataplane.seen[MessageType::kInjectFrame] == 5; }));
}

TEST_CASE("subscriber: an incoming call that ends before it is connected frees everything",
          "[subscriber][pac]") {
  Host host;
  Control control(host);
  Caller pac(control);
  pac.start(control);
  const auto reply = announce(control, pac, 77);
  SECTION("by the PAC") { pac.send(CallDisconnectNotify{.call_id = 77}); }
  SECTION("by the end of TCP") { pac.hang_up(); }
  SECTION("by the operator") {
    CHECK(clear_all(*control.service, by_id(sessions_of(*control.service).at(0).id)));
    REQUIRE(control.until([&] { return pac.last<CallClearRequest>() != nullptr; }));
    CHECK(pac.last<CallClearRequest>()->call_id == reply.call_id);
  }
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: incoming calls are refused where the configuration says so",
          "[subscriber][pac]") {
  Host host;
  host.config.pptp.incoming_calls = false;
  Control control(host);
  Caller pac(control);
  pac.start(control);
  CHECK(announce(control, pac, 77).result_code == 3);
  CHECK(control.ended(EndReason::incoming_call_refused) == 1);
  CHECK(control.all_free());
  pac.dial(1);  // a subscriber's call is another matter
  CHECK(open_calls(control, 1));
}

TEST_CASE("subscriber: what a PAC tells of its line is shown and counted", "[subscriber][pac]") {
  Host host;
  Control control(host);
  Caller pac(control);
  pac.start(control);
  const auto reply = announce(control, pac, 77);
  pac.send(WanErrorNotify{reply.call_id, 1, 2, 3, 4, 5, 6});
  pac.send(WanErrorNotify{reply.call_id, 2, 2, 3, 4, 5, 9});
  pac.barrier(control);
  CHECK(sessions_of(*control.service).at(0).wan_errors.counts ==
        std::array<std::uint32_t, 6>{2, 2, 3, 4, 5, 9});
  CHECK(control.statistics.wan_errors[0].get() == 2);
  CHECK(control.statistics.wan_errors[5].get() == 9);
}

TEST_CASE("subscriber: drops towards a subscriber are told to it where that is switched on",
          "[subscriber][rfc2637-2.14]") {
  Host host;
  host.config.pptp.wan_error_notify = true;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  caller.dial(7);
  REQUIRE(open_calls(control, 1));
  host.memory.sessions()[sessions_of(*control.service).at(0).slot.value].downstream.drops.add(5);
  REQUIRE(control.until([&] { return caller.last<WanErrorNotify>() != nullptr; }));
  CHECK(caller.last<WanErrorNotify>()->peers_call_id == 7);
  CHECK(caller.last<WanErrorNotify>()->buffer_overruns == 5);
}

TEST_CASE("subscriber: a placed call opens a connection, dials, and is done when its link is open",
          "[subscriber][pac]") {
  Host host;
  PacHost pac_host(host);
  Control control(host);
  Placing placing(control);
  Caller pac = pac_host.establish(control);
  CHECK(pac.last<StartControlConnectionRequest>()->protocol_version == 0x0100);
  const auto server_call_id = answer(control, pac, 9);
  CHECK(text_of(pac.last<OutgoingCallRequest>()->phone_number) == "5551234");
  REQUIRE(control.until([&] { return placing.done(); }));
  CHECK(placing.failure() == EndReason::kNone);
  CHECK(placing.result->value().user == "User");
  const auto view = sessions_of(*control.service).at(0);
  CHECK(view.kind == "placed");
  CHECK(view.peer == PacHost::kAddress);
  CHECK(view.local == host.listen.at(0));
  CHECK(view.our_call_id.value == server_call_id);
  CHECK(view.peer_call_id.value == 9);
  CHECK(placing.result->value().session == view.id);
  CHECK(placing.result->value().address == view.address);
  const auto connection = connections_of(*control.service).at(0);
  CHECK(connection.role == "originated");
  CHECK(connection.calls_by_kind[static_cast<std::size_t>(CallKind::kPlaced)] == 1);
  CHECK(host.stored.size() == 1);  // the supervisor holds it too

  // A second call with that PAC goes over the same connection, and lives for itself.
  Placing second(control);
  const auto second_id = answer(control, pac, 10, 2);
  REQUIRE(control.until([&] { return second.done(); }));
  CHECK(connections_of(*control.service).size() == 1);
  REQUIRE(open_calls(control, 2));
  pac.send(CallDisconnectNotify{.call_id = 9, .result_code = 1});
  REQUIRE(control.until([&] { return sessions_of(*control.service).size() == 1; }));
  CHECK(sessions_of(*control.service).at(0).our_call_id.value == second_id);
  CHECK(clear_all(*control.service, {.user = "User"}));
  REQUIRE(control.until([&] { return pac.last<CallClearRequest>() != nullptr; }));
  CHECK(pac.last<CallClearRequest>()->call_id == second_id);
  pac.send(CallDisconnectNotify{.call_id = 10, .result_code = 4});
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: a placed call that fails says why and leaves nothing", "[subscriber][pac]") {
  Host host(2);
  PacHost pac_host(host);
  Control control(host);
  SECTION("nobody listens") {
    pac_host.close();
    Placing placing(control);
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::connect_failed);
    CHECK(control.ended(EndReason::connect_failed) == 1);
  }
  SECTION("the PAC refuses the connection") {
    Placing placing(control);
    Caller pac = pac_host.accept(control);
    pac.send(StartControlConnectionReply{.result_code = 4});
    REQUIRE(control.until([&] { return pac.last<StopControlConnectionRequest>() != nullptr; }));
    pac.send(StopControlConnectionReply{.result_code = 1});
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::start_refused);
    CHECK(connections_of(*control.service).empty());
  }
  SECTION("the PAC hangs up") {
    Placing placing(control);
    Placing another(control);
    Caller pac = pac_host.accept(control);
    REQUIRE(control.until([&] { return pac.last<StartControlConnectionRequest>() != nullptr; }));
    pac.hang_up();
    REQUIRE(control.until([&] { return placing.done() && another.done(); }));
    CHECK(placing.failure() == EndReason::peer_closed_tcp);
    CHECK(another.failure() == EndReason::peer_closed_tcp);
  }
  SECTION("the number is busy") {
    Placing placing(control);
    Caller pac = pac_host.establish(control);
    REQUIRE(control.until([&] { return pac.last<OutgoingCallRequest>() != nullptr; }));
    pac.send(OutgoingCallReply{.peers_call_id = pac.last<OutgoingCallRequest>()->call_id,
                               .result_code = 4,
                               .cause_code = 17});
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::call_refused_by_peer);
    CHECK(placing.result->value().codes == model::PeerCodes{4, 0, 17});
    CHECK(connections_of(*control.service).size() == 1);
  }
  SECTION("the operator's time is over while the PAC dials") {
    Placing placing(control, Milliseconds(50));
    Caller pac = pac_host.establish(control);
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::place_timeout);
    REQUIRE(control.until([&] { return pac.last<CallClearRequest>() != nullptr; }));
    CHECK(pac.last<CallClearRequest>()->call_id == pac.last<OutgoingCallRequest>()->call_id);
  }
  SECTION("the dataplane refuses it") {
    host.dataplane.refuse_install = ReplyResult::kNoMemory;
    Placing placing(control);
    Caller pac = pac_host.establish(control);
    const auto id = answer(control, pac, 9);
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::dataplane_refused);
    REQUIRE(control.until([&] { return pac.last<CallClearRequest>() != nullptr; }));
    CHECK(pac.last<CallClearRequest>()->call_id == id);
  }
  SECTION("the PAC ends it while the dataplane installs it") {
    host.dataplane.hold_installs = true;
    Placing placing(control);
    Caller pac = pac_host.establish(control);
    (void)answer(control, pac, 9);
    REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
    pac.send(CallDisconnectNotify{.call_id = 9, .result_code = 1});
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::peer_call_disconnected);
    host.dataplane.hold_installs = false;
  }
  SECTION("no slot is free") {
    Caller subscriber(control);
    subscriber.start(control);
    subscriber.dial(1);
    subscriber.dial(2);
    REQUIRE(open_calls(control, 2));
    Placing placing(control);
    Caller pac = pac_host.establish(control);
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::no_session_slot);
    subscriber.hang_up();
  }
  SECTION("there is no dataplane") {
    host.dataplane.die();
    REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
    Placing placing(control);
    REQUIRE(placing.done());
    CHECK(placing.failure() == EndReason::dataplane_unavailable);
    host.dataplane.back();
  }
  SECTION("the server shuts down") {
    Placing placing(control);
    bool done = false;
    control.service->shut_down(Milliseconds(100), [&] { done = true; });
    REQUIRE(control.until([&] { return done; }));
    REQUIRE(placing.done());
    CHECK(placing.failure() == EndReason::shutting_down);
  }
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: more placed calls than may wait are refused at once", "[subscriber][pac]") {
  Host host;
  PacHost pac_host(host);
  Control control(host);
  std::vector<std::unique_ptr<Placing>> waiting;
  for (std::size_t i = 0; i < subscriber::CallPlacer::kMaxPlaced; ++i)
    waiting.push_back(std::make_unique<Placing>(control));
  Placing more(control);
  REQUIRE(more.done());
  CHECK(more.failure() == EndReason::too_many_placed_calls);
  Caller pac = pac_host.accept(control);  // one connection for all of them
  pac.hang_up();
  CHECK(control.until([&] {
    return std::ranges::all_of(waiting, [](const auto& placing) { return placing->done(); });
  }));
}

TEST_CASE("subscriber: a collision is won by the higher address, and the placed call goes that way",
          "[subscriber][pac][rfc2637-3.1.3]") {
  Host host;
  PacHost pac_host(host);
  SECTION("we are higher: ours is used") {
    Control control(host);  // 127.0.0.2 against 127.0.0.1
    Placing placing(control);
    Caller ours = pac_host.accept(control);
    REQUIRE(control.until([&] { return ours.last<StartControlConnectionRequest>() != nullptr; }));
    Caller theirs(control, host.listen.at(0), PacHost::kAddress);
    theirs.send(StartControlConnectionRequest{});
    control.settle();
    CHECK(theirs.read().empty());  // not a word on the loser's connection
    theirs.hang_up();              // as a loser does
    ours.send(StartControlConnectionReply{.result_code = 1});
    (void)answer(control, ours, 9);
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::kNone);
    CHECK(control.until([&] { return connections_of(*control.service).size() == 1; }));
    CHECK(connections_of(*control.service).at(0).role == "originated");
  }
  SECTION("we are higher, but ours comes to nothing: theirs is answered after all") {
    Control control(host);
    Placing placing(control);
    Caller ours = pac_host.accept(control);
    REQUIRE(control.until([&] { return ours.last<StartControlConnectionRequest>() != nullptr; }));
    Caller theirs(control, host.listen.at(0), PacHost::kAddress);
    theirs.send(StartControlConnectionRequest{});
    control.settle();
    ours.hang_up();
    CHECK(control.until([&] { return theirs.last<StartControlConnectionReply>() != nullptr; }));
  }
  SECTION("we are lower: theirs is used") {
    host.listen = {Ipv4Address(0x7f000001)};
    Control control(host);
    const Ipv4Address pac_address(0x7f000001);
    // On loopback the PAC has our own address; the higher one is its in name only.
    Placing placing(control, Seconds(60), pac_address);
    Caller ours = pac_host.accept(control);
    REQUIRE(control.until([&] { return ours.last<StartControlConnectionRequest>() != nullptr; }));
    Caller theirs(control, host.listen.at(0), pac_address);  // equal: not higher, so we give way
    theirs.send(StartControlConnectionRequest{});
    REQUIRE(control.until([&] { return theirs.last<StartControlConnectionReply>() != nullptr; }));
    CHECK(control.until([&] { return ours.closed(); }));
    CHECK(ours.count<StopControlConnectionRequest>() == 0);
    CHECK(control.statistics.connection_ends[static_cast<std::size_t>(EndReason::collision_lost)]
              .get() == 1);
    (void)answer(control, theirs, 9);
    REQUIRE(control.until([&] { return placing.done(); }));
    CHECK(placing.failure() == EndReason::kNone);
    REQUIRE(connections_of(*control.service).size() == 1);
    CHECK(connections_of(*control.service).at(0).role == "accepted");
  }
}

TEST_CASE("subscriber: a connection that the PAC opened earlier carries placed calls too",
          "[subscriber][pac]") {
  Host host;
  PacHost pac_host(host);
  Control control(host);
  Caller pac(control, host.listen.at(0), PacHost::kAddress);
  pac.start(control);
  Placing placing(control);
  (void)answer(control, pac, 9);
  REQUIRE(control.until([&] { return placing.done(); }));
  CHECK(placing.failure() == EndReason::kNone);
  CHECK_FALSE(pac_host.called());
}

TEST_CASE("subscriber: a call that is being dialled does not hold up the end of the process",
          "[subscriber][pac]") {
  Host host;
  PacHost pac_host(host);
  Control control(host);
  Caller pac(control, host.listen.at(0), PacHost::kAddress);
  pac.start(control);
  Placing placing(control);
  REQUIRE(control.until([&] { return pac.count<OutgoingCallRequest>() == 1; }));
  int done = 0;
  control.service->shut_down(Seconds(600), [&] { ++done; });
  REQUIRE(control.until([&] { return pac.count<StopControlConnectionRequest>() == 1; }));
  CHECK(pac.count<CallClearRequest>() == 1);
  pac.send(StopControlConnectionReply{.result_code = 1});
  CHECK(control.until([&] { return done == 1; }));
  CHECK(control.until([&] { return control.all_free(); }));
  CHECK(placing.failure() == EndReason::shutting_down);
}

TEST_CASE("subscriber: calls of every kind outlive the control process",
          "[subscriber][pac][restart]") {
  Host host;
  PacHost pac_host(host);
  std::optional<Caller> pac;
  std::optional<Caller> other;
  std::uint16_t placed_id = 0;
  std::uint16_t incoming_id = 0;
  std::uint16_t half_id = 0;
  {
    Control control(host);
    Placing placing(control);
    pac = pac_host.establish(control);
    placed_id = answer(control, *pac, 9);
    REQUIRE(control.until([&] { return placing.done(); }));
    incoming_id = announce(control, *pac, 10).call_id;
    pac->send(IncomingCallConnected{.peers_call_id = incoming_id});
    REQUIRE(open_calls(control, 2));
    other.emplace(control);
    other->start(control);
    other->dial(1);
    REQUIRE(open_calls(control, 3));
    Placing half(control);  // its Outgoing-Call-Request is out
    REQUIRE(control.until([&] { return pac->count<OutgoingCallRequest>() == 2; }));
    half_id = pac->last<OutgoingCallRequest>()->call_id;
  }
  Control control(host);
  REQUIRE(open_calls(control, 3));
  std::map<std::string, std::uint16_t> by_kind;
  for (const auto& view : sessions_of(*control.service))
    by_kind[view.kind] = view.our_call_id.value;
  CHECK(by_kind.at("placed") == placed_id);
  CHECK(by_kind.at("incoming") == incoming_id);
  CHECK(by_kind.count("subscriber") == 1);
  CHECK(now_by_kind(control, CallKind::kPlaced) == 1);
  const auto connections = connections_of(*control.service);
  REQUIRE(connections.size() == 2);
  CHECK(std::ranges::count(connections, "originated", &subscriber::ConnectionView::role) == 1);
  // The call that was half set up is cleared; the PAC's late Reply does no harm.
  REQUIRE(control.until([&] { return pac->last<CallClearRequest>() != nullptr; }));
  CHECK(pac->last<CallClearRequest>()->call_id == half_id);
  pac->send(OutgoingCallReply{.call_id = 11, .peers_call_id = half_id, .result_code = 1});
  pac->send(CallDisconnectNotify{.call_id = 11, .result_code = 4});
  // Each goes on, and is ended in its own way.
  pac->send(CallDisconnectNotify{.call_id = 9, .result_code = 1});
  REQUIRE(open_calls(control, 2));
  const auto left = sessions_of(*control.service);
  const auto incoming = std::ranges::find(left, "incoming", &subscriber::SessionView::kind);
  REQUIRE(incoming != left.end());
  CHECK(clear_all(*control.service, by_id(incoming->id)));
  REQUIRE(control.until([&] { return pac->last<CallClearRequest>()->call_id == incoming_id; }));
  other->send(CallClearRequest{.call_id = 1});
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: a session whose peer answers keeps its Call ID",
          "[subscriber][wire-facts-5][conformance-75]") {
  Host host;
  Control control(host);
  Caller first(control);
  first.start(control);
  first.dial(7);
  REQUIRE(open_calls(control, 1));
  const auto slot = sessions_of(*control.service).at(0).slot.value;
  Caller second(control);  // the same address
  second.start(control);

  second.dial(7);
  REQUIRE(control.until([&] { return first.last<EchoRequest>() != nullptr; }));
  first.send(EchoReply{.identifier = first.last<EchoRequest>()->identifier, .result_code = 1});
  REQUIRE(control.until([&] { return second.last<OutgoingCallReply>() != nullptr; }));
  CHECK(second.last<OutgoingCallReply>()->result_code == 4);  // Busy
  CHECK(control.ended(EndReason::peer_call_id_busy) == 1);
  second.dial(8);  // another Call ID is nobody's
  REQUIRE(open_calls(control, 2));
  CHECK(first.last<CallDisconnectNotify>() == nullptr);
  CHECK(sessions_of(*control.service).at(0).slot.value == slot);

  Caller elsewhere(control, Caller::kLocal, Ipv4Address(0xcb007106));  // another address
  elsewhere.start(control);
  elsewhere.dial(7);
  CHECK(open_calls(control, 3));
}
