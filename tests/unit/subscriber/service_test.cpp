// SPDX-License-Identifier: BSD-3-Clause
//
// Service with real sockets, the real Channel and real PPP machines; see world.hpp for what is
// fake.
#include "controlplane/subscriber/service.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <catch2/catch.hpp>

#include "tests/unit/subscriber/world.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::wire::pptp;
using contract::MessageType;
using contract::ReplyResult;

namespace {

bool open_calls(Control& control, std::size_t wanted) {
  return control.until([&] {
    const auto sessions = sessions_of(*control.service);
    return static_cast<std::size_t>(
               std::ranges::count(sessions, "open", &subscriber::SessionView::state)) == wanted;
  });
}

// A call from the first message to IPCP open.
void establish(Control& control, Caller& caller, std::uint16_t call_id = 1,
               std::size_t wanted = 1) {
  caller.start(control);
  caller.dial(call_id);
  REQUIRE(open_calls(control, wanted));
}

std::optional<std::uint8_t> answer(Control& control, Caller& caller) {
  if (!control.until([&] { return caller.last<OutgoingCallReply>() != nullptr; }))
    return std::nullopt;
  return caller.last<OutgoingCallReply>()->result_code;
}

constexpr auto kConnected = static_cast<std::uint8_t>(OutgoingCallResult::kConnected);
constexpr auto kGeneral = static_cast<std::uint8_t>(OutgoingCallResult::kGeneralError);
constexpr auto kNoResource = static_cast<std::uint8_t>(GeneralError::kNoResource);

// While it lives, this process cannot write to files beyond so many octets.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t octets) {
    ::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit limit{octets, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() { (void)::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

TEST_CASE("subscriber: the Reply leaves only after the dataplane has installed the call",
          "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  caller.dial(7);
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  control.settle();
  CHECK(caller.last<OutgoingCallReply>() == nullptr);
  CHECK(sessions_of(*control.service).empty());
  host.dataplane.hold_installs = false;
  REQUIRE(answer(control, caller) == kConnected);
  CHECK(caller.last<OutgoingCallReply>()->peers_call_id == 7);
  CHECK(caller.last<OutgoingCallReply>()->call_id ==
        host.memory.sessions()[host.dataplane.installed_calls.at(0).first].our_call_id.value);
  REQUIRE(open_calls(control, 1));
  const auto view = sessions_of(*control.service).at(0);
  CHECK(view.user == "User");
  CHECK(view.mppe == "mppe128-stateless");
  CHECK(view.mtu == 1396);
  CHECK(view.peer_call_id.value == 7);
  CHECK(control.leases() == 1);
  CHECK(control.until(
      [&] { return host.memory.sessions()[view.slot.value].subscriber == view.address; }));
}

TEST_CASE("subscriber: a peer that hangs up frees the call and everything it had", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  const auto check = [&] {
    CHECK(control.until([&] { return control.all_free(); }));
    CHECK(control.stored().sessions.empty());
    CHECK(control.statistics.sessions_by_phase[static_cast<std::size_t>(model::LinkPhase::kOpen)]
              .get() == 0);
  };
  SECTION("by Call-Clear-Request") {
    caller.send(CallClearRequest{.call_id = 1});
    REQUIRE(control.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
    check();
    CHECK(connections_of(*control.service).size() == 1);
    CHECK(control.ended(EndReason::peer_cleared_call) == 1);
  }
  SECTION("by closing TCP") {
    (void)caller.read();  // with something unread it would be a reset
    caller.hang_up();
    check();
    CHECK(connections_of(*control.service).empty());
    CHECK(control.ended(EndReason::peer_closed_tcp) == 1);
    CHECK(control.stored().connections.empty());
    CHECK(control.until([&] { return host.stored.empty(); }));
  }
  SECTION("by a reset") {
    const linger reset{1, 0};
    REQUIRE(::setsockopt(caller.socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
    caller.hang_up();
    check();
    CHECK(connections_of(*control.service).empty());
  }
  SECTION("by octets that are no PPTP") {
    caller.send(octets("00 10 00 01 de ad be ef 00 05 00 00 00 00 00 00"));
    check();
    CHECK(control.ended(EndReason::bad_magic_cookie) == 1);
    CHECK(control.until([&] { return caller.closed(); }));
  }
}

TEST_CASE("subscriber: ten thousand calls that clear, stop and hang up at once leave nothing",
          "[subscriber][conformance-23][conformance-25]") {
  Host host;
  host.config.pptp.limits.new_calls.rate = 0;
  Control control(host);
  std::byte clear[wire::pptp::kLongestMessage], stop[wire::pptp::kLongestMessage];
  const std::size_t clear_size = write_message(clear, CallClearRequest{.call_id = 3});
  const std::size_t stop_size = write_message(stop, StopControlConnectionRequest{1});
  const Octets goodbye = concat({Bytes(clear).first(clear_size), Bytes(stop).first(stop_size)});
  const auto lowest_free_descriptor = [] { return UniqueFd(::dup(0)).get(); };
  int free_before = 0;
  for (int i = 0; i < 10'000; ++i) {
    Caller caller(control);
    caller.start(control);
    caller.dial(3);
    // Half of them leave before they have an answer.
    if (i % 2 == 0) REQUIRE(answer(control, caller) == kConnected);
    caller.send(goodbye);
    REQUIRE(::shutdown(caller.socket.get(), SHUT_WR) == 0);
    REQUIRE(
        control.until([&] { return caller.closed() && connections_of(*control.service).empty(); }));
    if (i == 0) {
      REQUIRE(control.until([&] { return control.all_free() && host.stored.empty(); }));
      caller.hang_up();
      free_before = lowest_free_descriptor();
    }
  }
  CHECK(control.until([&] { return control.all_free() && host.stored.empty(); }));
  CHECK(lowest_free_descriptor() == free_before);
  CHECK(control.stored().connections.empty());
  CHECK(control.stored().sessions.empty());
}

TEST_CASE("subscriber: an install that the dataplane refuses is a general error and leaves nothing",
          "[subscriber]") {
  Host host(2);
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.refuse_install =
      GENERATE(ReplyResult::kCallIdInUse, ReplyResult::kNoMemory, ReplyResult::kTooManyAddresses);
  for (std::uint16_t call = 1; call <= 5; ++call) {  // more than there are slots
    caller.dial(call);
    REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == call; }));
    CHECK(caller.last<OutgoingCallReply>()->result_code == kGeneral);
    CHECK(caller.last<OutgoingCallReply>()->error_code == kNoResource);
  }
  CHECK(control.ended(EndReason::dataplane_refused) == 5);
  CHECK(control.all_free());
  host.dataplane.refuse_install.reset();
  caller.dial(9);
  CHECK(open_calls(control, 1));
}

TEST_CASE(
    "subscriber: a slot that the dataplane thinks in use is cleared there, not tried for ever",
    "[subscriber]") {
  Host host(1);
  Control control(host);
  Caller caller(control);
  caller.start(control);
  auto& record = host.memory.sessions()[0];  // free when the service was made
  record.generation = 40;
  record.state = contract::SlotState::kInstalled;
  caller.dial(1);
  REQUIRE(answer(control, caller) == kGeneral);
  REQUIRE(control.until([&] { return host.dataplane.seen[MessageType::kRemoveSession] == 1; }));
  control.settle();
  CHECK(control.all_free());
  caller.dial(2);
  CHECK(open_calls(control, 1));
}

TEST_CASE("subscriber: a connection that closes during install takes the call with it",
          "[subscriber]") {
  Host host(1);
  Control control(host);
  for (int round = 0; round < 3; ++round) {
    Caller caller(control);
    caller.start(control);
    host.dataplane.hold_installs = true;
    caller.dial(1);
    REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
    caller.hang_up();
    REQUIRE(control.until([&] { return connections_of(*control.service).empty(); }));
    host.dataplane.hold_installs = false;
    CHECK(control.until(
        [&] { return host.dataplane.seen[MessageType::kRemoveSession] == round + 1; }));
    control.settle();
    CHECK(control.all_free());
  }
  Caller caller(control);
  establish(control, caller);
}

TEST_CASE("subscriber: an offer that the peer takes back is removed when it is installed",
          "[subscriber]") {
  Host host(1);
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  caller.dial(1);
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  caller.send(CallClearRequest{.call_id = 1});
  REQUIRE(control.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  host.dataplane.hold_installs = false;
  REQUIRE(control.until([&] { return host.dataplane.seen[MessageType::kRemoveSession] == 1; }));
  control.settle();
  CHECK(caller.last<OutgoingCallReply>() == nullptr);
  CHECK(control.all_free());
  caller.dial(2);
  CHECK(open_calls(control, 1));
}

TEST_CASE(
    "subscriber: without a free slot a call is refused with error 4, and served after one ends",
    "[subscriber]") {
  Host host(2);
  Control control(host);
  Caller caller(control);
  caller.start(control);
  caller.dial(1);
  caller.dial(2);
  REQUIRE(open_calls(control, 2));
  caller.dial(3);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 3; }));
  CHECK(caller.last<OutgoingCallReply>()->result_code == kGeneral);
  CHECK(caller.last<OutgoingCallReply>()->error_code == 4);
  CHECK(control.ended(EndReason::no_session_slot) == 1);
  // The slot counts as used until the dataplane says that no worker sees the session.
  host.dataplane.hold_removals = true;
  caller.send(CallClearRequest{.call_id = 1});
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  caller.dial(4);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 4; }));
  CHECK(caller.last<OutgoingCallReply>()->result_code == kGeneral);
  CHECK(control.leases() == 2);
  host.dataplane.hold_removals = false;
  REQUIRE(control.until([&] { return control.leases() == 1; }));
  caller.dial(5);
  CHECK(open_calls(control, 2));
}

TEST_CASE(
    "subscriber: calls that could not be stored are not taken, and are once the store has room",
    "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  Caller other(control);
  {
    const FileSizeLimit full(4096);  // as a disk without room: no page of the store can be written
    caller.dial(2);
    REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 2; }));
    CHECK(caller.last<OutgoingCallReply>()->result_code == kGeneral);
    CHECK(caller.last<OutgoingCallReply>()->error_code == 4);
    CHECK(control.ended(EndReason::store_failed) == 1);
    CHECK(control.statistics.store_failing.get() == 1);
    CHECK(control.statistics.store_failures.get() > 0);
    CHECK_FALSE(control.journal->last_error().empty());
    CHECK(sessions_of(*control.service).size() == 1);  // lives on
    // One that starts meanwhile is not in the store.
    other.start(control);
    CHECK_FALSE(audit_of(*control.service).findings.empty());
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
  (void)control.until([&] { return std::chrono::steady_clock::now() > until; });
  other.dial(3);
  CHECK(open_calls(control, 2));
  CHECK(control.statistics.store_failing.get() == 0);
  CHECK(audit_of(*control.service).findings.empty());
  CHECK(control.stored().connections.size() == 2);
}

TEST_CASE("subscriber: what could not be stored is when there is room, asked for or not",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller leaves(*first);
  establish(*first, leaves);
  const OurCallId ended = sessions_of(*first->service).at(0).our_call_id;
  {
    const FileSizeLimit full(4096);
    leaves.hang_up();
    REQUIRE(first->until([&] { return first->all_free(); }));
    CHECK(first->statistics.store_failing.get() == 1);
  }
  CHECK(first->until([&] { return first->statistics.store_failing.get() == 0; }));
  first.reset();
  Control second(host);
  const auto resting = second.stored().resting;
  CHECK(std::ranges::count(resting, ended, &resume::RestingCallId::id) == 1);
}

TEST_CASE("subscriber: what is short is told to new calls and connections, old calls live on",
          "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  control.service->set_shortage(EndReason::memory_limit);
  caller.dial(2);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 2; }));
  CHECK(caller.last<OutgoingCallReply>()->error_code == 4);
  Caller other(control);
  CHECK(control.until([&] { return other.closed(); }));
  CHECK(control.ended(EndReason::memory_limit) == 1);
  control.service->set_shortage(EndReason::kNone);
  caller.dial(3);
  CHECK(open_calls(control, 2));
}

TEST_CASE("subscriber: without a free Call ID a call is refused with error 4", "[subscriber]") {
  Host host;
  {
    // All but two rest, as after a storm of short calls.
    const auto journal = open_journal(host, [](resume::Journal::Action) {});
    const auto until = monotonic_ns(std::chrono::steady_clock::now() + std::chrono::minutes(1));
    for (std::uint32_t id = 1; id <= 65'533; ++id)
      journal->put_to_rest(SlotId(1),
                           {Caller::kLocal, OurCallId(static_cast<std::uint16_t>(id)), until});
    REQUIRE(journal->commit());
  }
  Control control(host);
  Caller caller(control);
  caller.start(control);
  caller.dial(1);
  caller.dial(2);
  REQUIRE(open_calls(control, 2));
  caller.dial(3);
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 3; }));
  CHECK(caller.last<OutgoingCallReply>()->result_code == kGeneral);
  CHECK(caller.last<OutgoingCallReply>()->error_code == 4);
  CHECK(control.ended(EndReason::no_call_id) == 1);
}

TEST_CASE("subscriber: a dataplane lost while it installs costs the call, not the slot",
          "[subscriber]") {
  Host host(2);
  Control control(host);
  Caller caller(control);
  caller.start(control);
  const bool had_installed = GENERATE(false, true);
  host.dataplane.hold_installs = true;
  caller.dial(1);
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  if (had_installed) {  // and died before it could say so
    auto& record = host.memory.sessions()[0];
    record.generation = record.generation + 1;
    record.state = contract::SlotState::kInstalled;
  }
  host.dataplane.die();
  REQUIRE(answer(control, caller) == kGeneral);
  CHECK(control.ended(EndReason::dataplane_unavailable) == 1);
  caller.dial(2);  // none is there: it waits for the next one
  caller.barrier(control);
  CHECK(caller.count<OutgoingCallReply>() == 1);
  CHECK(control.statistics.admission_waiting.get() == 1);
  host.dataplane.hold_installs = false;
  host.dataplane.back();
  CHECK(open_calls(control, 1));
  caller.send(CallClearRequest{.call_id = 2});
  CHECK(control.until([&] { return control.all_free(); }));
  caller.dial(3);
  CHECK(open_calls(control, 1));
}

TEST_CASE("subscriber: a dataplane lost while it removes is asked again when it is back",
          "[subscriber]") {
  Host host(1);
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  host.dataplane.hold_removals = true;
  caller.send(CallClearRequest{.call_id = 1});
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  CHECK(control.leases() == 1);
  host.dataplane.hold_removals = false;
  host.dataplane.back();
  REQUIRE(control.until([&] { return control.all_free(); }));
  caller.dial(2);
  CHECK(open_calls(control, 1));
}

TEST_CASE("subscriber: calls outlive the dataplane; where keys were lost with it LCP begins anew",
          "[subscriber]") {
  Host host;
  Control control(host);
  Caller old(control);
  establish(control, old);
  Caller fresh(control);
  fresh.start(control);
  // The keys of the second call are among what is lost with the channel.
  bool lost = false;
  host.dataplane.lose = [&](MessageType type) { return lost |= type == MessageType::kArmMppe; };
  fresh.dial(2);
  REQUIRE(control.until([&] { return lost; }));
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  host.dataplane.lose = nullptr;
  // Those of the first one, too: session memory has none.
  const auto slot = sessions_of(*control.service).at(0).slot.value;
  auto& record = host.memory.sessions()[slot];
  const bool old_lost = GENERATE(false, true);
  if (old_lost) record.upstream.mppe.mode = record.downstream.mppe.mode = mppe::Mode::kOff;
  const int armed = host.dataplane.seen[MessageType::kArmMppe];
  host.dataplane.back();
  CHECK(open_calls(control, 2));
  CHECK(host.dataplane.seen[MessageType::kArmMppe] == armed + (old_lost ? 2 : 1));
  CHECK(record.downstream.mppe.mode != mppe::Mode::kOff);
  for (Caller* caller : {&old, &fresh}) {
    caller->barrier(control);
    CHECK(caller->last<CallDisconnectNotify>() == nullptr);
  }
}

TEST_CASE("subscriber: an Open that was lost with the dataplane is said again", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  bool lost = false;
  host.dataplane.lose = [&](MessageType type) { return lost |= type == MessageType::kOpenIpv4; };
  caller.dial(1);
  REQUIRE(control.until([&] { return lost; }));
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  host.dataplane.lose = nullptr;
  host.dataplane.back();
  CHECK(control.until(
      [&] { return (host.memory.sessions()[0].flags & contract::kFlagIpv4Open) != 0; }));
  CHECK(host.memory.sessions()[0].inner_mtu == 1396);
  CHECK(open_calls(control, 1));
}

TEST_CASE("subscriber: a session that a new dataplane does not have ends", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  host.memory.sessions()[sessions_of(*control.service).at(0).slot.value].state =
      contract::SlotState::kFree;
  host.dataplane.back();
  CHECK(control.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: an address that the dataplane refuses ends the call", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.refuse_open = ReplyResult::kAddressInUse;
  caller.dial(1);
  CHECK(control.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(control.until([&] { return control.all_free(); }));
  CHECK(control.ended(EndReason::dataplane_refused) == 1);
}

TEST_CASE("subscriber: a call taken back while the dataplane refuses it has ended once",
          "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  caller.dial(1);
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  caller.send(CallClearRequest{.call_id = 1});
  caller.barrier(control);
  host.dataplane.refuse_install = ReplyResult::kNoMemory;
  host.dataplane.hold_installs = false;
  REQUIRE(control.until([&] { return host.dataplane.held() == 0; }));
  control.settle();
  CHECK(control.all_free());
  CHECK(control.ended(EndReason::peer_cleared_call) == 1);
  CHECK(control.ended(EndReason::dataplane_refused) == 0);
}

TEST_CASE("subscriber: a wrong password ends the call and takes no lease", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  caller.dial(1);
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  host.dataplane.hold_installs = false;
  REQUIRE(control.until([&] {
    if (!host.dataplane.clients.empty()) host.dataplane.clients.begin()->second.password = "wrong";
    return caller.last<CallDisconnectNotify>() != nullptr;
  }));
  CHECK(control.ended(EndReason::auth_failed) == 1);
  CHECK(control.statistics.auth_denied.get() == 1);
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: a peer that hangs up after a refusal has failed, not left", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  caller.dial(1);
  REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
  host.dataplane.hold_installs = false;
  REQUIRE(control.until([&] {
    if (!host.dataplane.clients.empty()) host.dataplane.clients.begin()->second.password = "wrong";
    return control.statistics.auth_denied.get() == 1;
  }));
  SECTION("by Call-Clear-Request") { caller.send(CallClearRequest{.call_id = 1}); }
  SECTION("by closing TCP") { caller.hang_up(); }
  CHECK(control.until([&] { return control.all_free(); }));
  CHECK(control.ended(EndReason::auth_failed) == 1);
  CHECK(control.ended(EndReason::peer_cleared_call) == 0);
}

TEST_CASE("subscriber: a peer that logs in again as somebody else gets that account's address",
          "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  auto view = sessions_of(*control.service).at(0);
  CHECK(view.address != Ipv4Address(0x0a400063));
  auto& client = host.dataplane.clients.at(view.slot.value);
  client.user = "Other";
  client.password = "otherPass";
  control.service->on_punted({view.slot, host.memory.sessions()[view.slot.value].generation},
                             Bytes(frame(kLcp, kConfReq, 0x55, client.lcp_options)).subspan(2));
  REQUIRE(control.until([&] {
    const auto now = sessions_of(*control.service);
    return now.size() == 1 && now[0].state == "open" && now[0].user == "Other";
  }));
  CHECK(sessions_of(*control.service).at(0).address == Ipv4Address(0x0a400063));
  CHECK(control.leases() == 1);
}

TEST_CASE("subscriber: connections over the limit are closed at once", "[subscriber]") {
  Host host;
  host.config.pptp.max_connections = 2;
  // Otherwise the third makes the first, which has no call, give way.
  host.config.pptp.limits.exempt = {Ipv4Prefix{Caller::kPeer, 32}};
  Control control(host);
  Caller first(control);
  Caller second(control);
  Caller third(control);
  CHECK(control.until([&] { return third.closed(); }));
  CHECK(connections_of(*control.service).size() == 2);
  first.hang_up();
  REQUIRE(control.until([&] { return connections_of(*control.service).size() == 1; }));
  Caller fourth(control);
  establish(control, fourth);
  CHECK_FALSE(second.closed());
}

TEST_CASE("subscriber: a connection that a successor would not get is closed", "[subscriber]") {
  Host host;
  Control control(host);
  Caller kept(control);
  establish(control, kept);
  Caller lost(control);
  lost.start(control);
  lost.dial(2);
  REQUIRE(open_calls(control, 2));
  control.service->on_not_kept(ConnectionId(connections_of(*control.service).at(1).id));
  CHECK(control.until([&] { return lost.closed(); }));
  CHECK(control.ended(EndReason::descriptor_limit) == 1);
  CHECK(open_calls(control, 1));
  CHECK_FALSE(kept.closed());
  CHECK(audit_of(*control.service).findings.empty());
  control.service->on_not_kept(ConnectionId(99));  // gone meanwhile
}

TEST_CASE("subscriber: the operator's clear ends the link, then the call", "[subscriber]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  CHECK_FALSE(clear_all(*control.service, {.user = "nobody"}));
  CHECK_FALSE(clear_all(*control.service, {.user = "99"}));
  REQUIRE(clear_all(*control.service, {.user = "User"}));
  CHECK(control.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(control.until([&] { return control.all_free(); }));
  CHECK(control.ended(EndReason::operator_cleared) == 1);
  CHECK(control.service->last_ends().at(0).reason == "operator_cleared");
}

TEST_CASE("subscriber: shutting down tells every peer, and is done once", "[subscriber]") {
  Host host;
  Control control(host);
  int done = 0;
  SECTION("with calls") {
    Caller caller(control);
    establish(control, caller);
    Caller idle(control);
    idle.start(control);
    control.service->shut_down(Milliseconds(4000), [&] { ++done; });
    REQUIRE(control.until([&] { return caller.last<StopControlConnectionRequest>() != nullptr; }));
    REQUIRE(control.until([&] { return idle.last<StopControlConnectionRequest>() != nullptr; }));
    CHECK(caller.last<CallDisconnectNotify>() != nullptr);
    CHECK(done == 0);
    caller.send(StopControlConnectionReply{.result_code = 1});
    idle.send(StopControlConnectionReply{.result_code = 1});
    CHECK(control.until([&] { return done == 1; }));
    CHECK(control.until([&] { return control.all_free(); }));
    Caller late(control);
    CHECK(control.until([&] { return late.closed(); }));
  }
  SECTION("with nothing") {
    control.service->shut_down(Milliseconds(60'000), [&] { ++done; });
    CHECK(control.until([&] { return done == 1; }));
  }
  SECTION("with peers that answer nothing, within its bound") {
    Caller caller(control);
    establish(control, caller);
    host.dataplane.run_ppp = false;
    const auto started = std::chrono::steady_clock::now();
    control.service->shut_down(Milliseconds(400), [&] { ++done; });
    CHECK(control.until([&] { return done == 1; }));
    CHECK(std::chrono::steady_clock::now() - started < std::chrono::milliseconds(1500));
  }
  SECTION("while a call is being installed") {
    Caller caller(control);
    caller.start(control);
    host.dataplane.hold_installs = true;
    caller.dial(1);
    REQUIRE(control.until([&] { return host.dataplane.held() == 1; }));
    control.service->shut_down(Milliseconds(400), [&] { ++done; });
    REQUIRE(control.until([&] { return caller.last<StopControlConnectionRequest>() != nullptr; }));
    host.dataplane.hold_installs = false;
    CHECK(control.until([&] { return done == 1 && control.all_free(); }));
  }
  control.settle();
  CHECK(done == 1);
}

TEST_CASE("subscriber: more installs than may be under way wait for their turn", "[subscriber]") {
  Host host(700);
  host.config.pools["default"].ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a403ffe)}};
  host.config.pptp.admission.set_ups = host.config.pptp.admission.per_source_set_ups = 1000;
  host.dataplane.run_ppp = false;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.hold_installs = true;
  for (std::uint16_t call = 1; call <= 600; ++call) caller.dial(call);
  caller.barrier(control);
  CHECK(control.until([&] { return host.dataplane.held() == contract::kCommandCredits / 4; }));
  for (std::uint16_t call = 301; call <= 350; ++call)  // these wait, and are taken back
    caller.send(CallClearRequest{.call_id = call});
  caller.barrier(control);
  host.dataplane.hold_installs = false;
  REQUIRE(control.until([&] { return caller.count<OutgoingCallReply>() == 550; }));
  control.settle();
  CHECK(host.dataplane.installed_calls.size() == 550);
  CHECK(sessions_of(*control.service).size() == 550);
  CHECK(control.ended(EndReason::peer_cleared_call) == 50);
  caller.hang_up();
  CHECK(control.until([&] { return control.all_free(); }));
}

TEST_CASE("subscriber: what waits for its turn is bounded, however often peers dial and leave",
          "[subscriber]") {
  Host host(300);
  host.config.pptp.admission.per_source_set_ups = 200;
  host.config.pptp.admission.per_source_waiting = 50;
  host.dataplane.run_ppp = false;
  Control control(host);
  host.dataplane.hold_installs = true;
  for (int round = 0; round < 4; ++round) {
    Caller caller(control);
    caller.start(control);
    for (std::uint16_t call = 1; call <= 300; ++call) caller.dial(call);
    caller.barrier(control);
    caller.hang_up();
    REQUIRE(control.until([&] { return connections_of(*control.service).empty(); }));
  }
  // The first round had 200 under way. Those stay so, and a round has but its place in the queue;
  // that is free again when it hangs up.
  CHECK(host.dataplane.held() == 200);
  CHECK(control.ended(EndReason::source_limit) == (300 - 250) + 3 * (300 - 50));
  CHECK(control.statistics.admission_waiting.get() == 0);
  host.dataplane.hold_installs = false;
  CHECK(control.until([&] { return control.all_free() && host.dataplane.held() == 0; }));
}

TEST_CASE("subscriber: a control process that is killed leaves its calls to the next one",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  establish(*first, caller);
  Caller idle(*first);
  idle.start(*first);
  Caller silent(*first);  // never sent its Start-Request
  Caller dialling(*first);
  dialling.start(*first);
  host.dataplane.run_ppp = false;
  dialling.dial(5);  // stays in LCP
  REQUIRE(first->until([&] { return dialling.last<OutgoingCallReply>() != nullptr; }));
  first->settle();
  const auto before = sessions_of(*first->service);
  REQUIRE(before.size() == 2);
  first.reset();
  host.dataplane.run_ppp = true;

  Control second(host);
  REQUIRE(second.until([&] { return sessions_of(*second.service).size() == 1; }));
  const auto after = sessions_of(*second.service).at(0);
  const auto& known = *std::ranges::find(before, after.id, &subscriber::SessionView::id);
  CHECK(after.state == "open");
  CHECK(after.user == known.user);
  CHECK(after.address == known.address);
  CHECK(after.our_call_id == known.our_call_id);
  CHECK(after.mppe == known.mppe);
  CHECK(after.mtu == known.mtu);
  CHECK(second.leases() == 1);
  // The half-set-up call is told and its slot is free; its connection, which has no other call, is
  // stopped; the one that never started is closed.
  CHECK(second.until([&] { return dialling.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(second.until([&] { return dialling.last<StopControlConnectionRequest>() != nullptr; }));
  dialling.send(StopControlConnectionReply{.result_code = 1});
  CHECK(second.until([&] { return dialling.closed(); }));
  CHECK(second.until([&] { return silent.closed(); }));
  CHECK(second.until([&] { return host.dataplane.slots_in_use() == 1; }));
  CHECK(connections_of(*second.service).size() == 2);
  CHECK(second.until([&] { return host.stored.size() == 2; }));
  // Everything works on: echo, a new call, the end of the old one.
  idle.send(EchoRequest{.identifier = 77});
  CHECK(second.until([&] { return idle.last<EchoReply>() != nullptr; }));
  idle.dial(6);
  CHECK(open_calls(second, 2));
  caller.send(CallClearRequest{.call_id = 1});
  CHECK(second.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(open_calls(second, 1));
  CHECK(second.stored().sessions.size() == 1);
}

TEST_CASE("subscriber: a message of which half had come is finished by the next process",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  caller.start(*first);
  std::array<std::byte, kLongestMessage> whole{};
  const auto size = write_message(whole, OutgoingCallRequest{.call_id = 3, .maximum_bps = 1000});
  caller.send(Bytes(whole).first(50));
  first->settle();
  first.reset();
  Control second(host);
  caller.send(Bytes(whole).subspan(50, size - 50));
  REQUIRE(second.until([&] { return caller.last<OutgoingCallReply>() != nullptr; }));
  CHECK(caller.last<OutgoingCallReply>()->peers_call_id == 3);
}

TEST_CASE("subscriber: a request that was read and not answered is answered by the next process",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  caller.start(*first);
  host.dataplane.hold_installs = true;
  caller.dial(3);
  REQUIRE(first->until([&] { return host.dataplane.held() == 1; }));
  REQUIRE(first->stored().connections.at(0).machine.calls.at(0).is_offer());
  CHECK(caller.last<OutgoingCallReply>() == nullptr);
  first.reset();
  host.dataplane.hold_installs = false;
  Control second(host);
  REQUIRE(open_calls(second, 1));
  CHECK(caller.last<OutgoingCallReply>()->peers_call_id == 3);
  CHECK(caller.count<OutgoingCallReply>() == 1);
  CHECK(host.dataplane.slots_in_use() == 1);
  CHECK_FALSE(second.stored().connections.at(0).machine.calls.at(0).is_offer());
}

TEST_CASE("subscriber: a request is neither answered nor consumed before its turn is stored",
          "[subscriber][resume][decision-0008]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  caller.start(*first);
  first->hold_turns = true;
  caller.dial(3);
  const auto heard = [&] {
    const Message request{OutgoingCallRequest{}};
    return first->statistics.messages_received[request.index() + 1].get();
  };
  REQUIRE(first->until([&] { return heard() == 1; }));
  first->settle();
  CHECK(caller.last<OutgoingCallReply>() == nullptr);
  CHECK(host.dataplane.slots_in_use() == 0);
  CHECK(first->stored().connections.at(0).machine.calls.empty());
  CHECK_FALSE(first->service->is_flushed());
  first.reset();  // killed before the commit
  Control second(host);
  REQUIRE(open_calls(second, 1));
  CHECK(caller.last<OutgoingCallReply>()->peers_call_id == 3);
  CHECK(caller.count<OutgoingCallReply>() == 1);
}

TEST_CASE("subscriber: the Call IDs of an earlier process's calls rest too",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  establish(*first, caller);
  const OurCallId ended = sessions_of(*first->service).at(0).our_call_id;
  caller.hang_up();
  REQUIRE(first->until([&] { return first->all_free(); }));
  Caller half(*first);
  half.start(*first);
  host.dataplane.run_ppp = false;
  half.dial(5);
  REQUIRE(first->until([&] { return sessions_of(*first->service).size() == 1; }));
  const OurCallId orphan = sessions_of(*first->service).at(0).our_call_id;
  first.reset();
  // Two processes later it is still so.
  { const Control second(host); }
  Control third(host);
  REQUIRE(third.until([&] { return third.all_free(); }));
  const auto resting = third.stored().resting;
  REQUIRE(resting.size() == 2);
  CHECK(std::ranges::count(resting, ended, &resume::RestingCallId::id) == 1);
  CHECK(std::ranges::count(resting, orphan, &resume::RestingCallId::id) == 1);
}

TEST_CASE("subscriber: an audit finds nothing where nothing is wrong, and names what is",
          "[subscriber][audit]") {
  Host host;
  Control control(host);
  Caller caller(control);
  establish(control, caller);
  Caller other(control);
  other.start(control);
  other.dial(9);
  REQUIRE(open_calls(control, 2));
  // A call that is less than a second old is not compared with session memory yet.
  CHECK(audit_of(*control.service).in_motion == 2);
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1100);
  (void)control.until([&] { return std::chrono::steady_clock::now() > until; });
  const auto good = audit_of(*control.service);
  CHECK(good.findings.empty());
  CHECK((good.sessions == 2 && good.in_motion == 0 && good.installed == 2 && good.leases == 2));
  CHECK((good.connections == 2 && good.stored_sessions == 2 && good.stored_connections == 2));
  CHECK((good.call_ids_in_use == 2 && good.call_ids_quarantined == 0));

  const auto found = [&] {
    std::vector<std::string> out;
    for (const auto& finding : audit_of(*control.service).findings) out.push_back(finding.what);
    return out;
  };
  using Names = std::vector<std::string>;
  auto& record = host.memory.sessions()[sessions_of(*control.service).at(0).slot.value];
  record.flags.fetch_and(~contract::kFlagIpv4Open);
  CHECK(found() == Names{"open_without_ipv4"});
  record.flags.fetch_or(contract::kFlagIpv4Open);
  record.peer_call_id = PeerCallId(0x1234);
  CHECK(found() == Names{"record_differs"});
  record.generation.fetch_add(1);
  CHECK(found() == Names{"session_without_record"});
  record.generation.fetch_sub(1);
  record.peer_call_id = sessions_of(*control.service).at(0).peer_call_id;
  auto& nobody = host.memory.sessions()[7];
  nobody.state = contract::SlotState::kInstalled;
  CHECK(found() == Names{"record_without_session"});
  nobody.state = contract::SlotState::kFree;
  control.journal->erase(sessions_of(*control.service).at(1).slot);
  CHECK(found() == Names{"session_not_stored"});
  const auto lease = control.pools.allocate("default");
  REQUIRE(lease);
  CHECK(found() == Names{"session_not_stored", "leases_differ"});
}

// Each instant at which a client counts its call as up and this process does not know it yet.
TEST_CASE("subscriber: killed while the client's last Ack is on its way, a call goes on",
          "[subscriber][resume]") {
  Host host;
  const bool lost_ours = GENERATE(false, true);
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  caller.start(*first);
  bool lost = false;
  if (lost_ours)  // the client is not open: our Ack is lost, with the command that lets data flow
    host.dataplane.lose = [&](MessageType type) { return lost |= type == MessageType::kOpenIpv4; };
  else
    host.dataplane.lose_answer = [](Bytes f) { return is_packet(f, kIpcp, kConfAck); };
  caller.dial(1);
  REQUIRE(first->until([&] {
    return lost ||
           (!host.dataplane.clients.empty() && host.dataplane.clients.begin()->second.ipcp_open);
  }));
  const auto slot = sessions_of(*first->service).at(0).slot.value;
  CHECK(sessions_of(*first->service).at(0).state == (lost_ours ? "open" : "network"));
  CHECK(first->stored().sessions.size() == 1);
  PppClient& client = host.dataplane.clients[slot];
  CHECK(client.ipcp_open == !lost_ours);
  const bool both = GENERATE(false, true);
  if (both) host.dataplane.die();
  first.reset();
  host.dataplane.lose = nullptr;
  host.dataplane.lose_answer = nullptr;
  if (both) host.dataplane.back();

  Control second(host);
  REQUIRE(open_calls(second, 1));
  CHECK(second.until(
      [&] { return (host.memory.sessions()[slot].flags & contract::kFlagIpv4Open) != 0; }));
  for (const auto& request : client.ask_again())
    second.service->on_punted({SlotId(slot), host.memory.sessions()[slot].generation},
                              Bytes(request).subspan(2));
  REQUIRE(second.until([&] { return client.ipcp_open; }));
  CHECK(open_calls(second, 1));
  caller.barrier(second);
  CHECK(caller.last<CallDisconnectNotify>() == nullptr);
  CHECK(caller.count<OutgoingCallReply>() == 1);
  CHECK((second.leases() == 1 && second.stored().sessions.size() == 1));
}

TEST_CASE("subscriber: the dataplane killed with the client's last Ack in it, a call goes on",
          "[subscriber][resume]") {
  Host host;
  Control control(host);
  Caller caller(control);
  caller.start(control);
  host.dataplane.lose_answer = [](Bytes f) { return is_packet(f, kIpcp, kConfAck); };
  caller.dial(1);
  REQUIRE(control.until([&] {
    return !host.dataplane.clients.empty() && host.dataplane.clients.begin()->second.ipcp_open;
  }));
  CHECK(open_calls(control, 0));
  host.dataplane.die();
  REQUIRE(control.until([&] { return !control.dataplane.attached(); }));
  host.dataplane.lose_answer = nullptr;
  host.dataplane.back();
  CHECK(open_calls(control, 1));  // our restart timer asks again, and the client answers
  const auto slot = sessions_of(*control.service).at(0).slot.value;
  CHECK(control.until(
      [&] { return (host.memory.sessions()[slot].flags & contract::kFlagIpv4Open) != 0; }));
  caller.barrier(control);
  CHECK(caller.last<CallDisconnectNotify>() == nullptr);
  CHECK(control.ended(EndReason::dataplane_unavailable) == 0);
}

TEST_CASE("subscriber: killed while a peer logs in again as somebody else, its new address is kept",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  establish(*first, caller);
  const auto id = sessions_of(*first->service).at(0).slot.value;
  auto& client = host.dataplane.clients[id];
  client.user = "Other";
  client.password = "otherPass";
  bool lost = false;
  host.dataplane.lose = [&](MessageType type) { return lost |= type == MessageType::kArmMppe; };
  for (const auto& request : client.renegotiate(kLcp))
    first->service->on_punted({SlotId(id), host.memory.sessions()[id].generation},
                              Bytes(request).subspan(2));
  REQUIRE(first->until([&] { return lost; }));
  const auto stored = first->stored().sessions;
  REQUIRE(stored.size() == 1);
  CHECK(stored[0].lease.address == Ipv4Address(0x0a400063));
  first.reset();
  host.dataplane.lose = nullptr;
  Control second(host);
  REQUIRE(open_calls(second, 1));
  CHECK(sessions_of(*second.service).at(0).address == Ipv4Address(0x0a400063));
  CHECK(sessions_of(*second.service).at(0).user == "Other");
  CHECK(second.leases() == 1);
}

TEST_CASE("subscriber: a call that is being negotiated anew is carried on, from LCP",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  establish(*first, caller);
  const auto id = sessions_of(*first->service).at(0).slot.value;
  REQUIRE(first->stored().sessions.size() == 1);
  host.dataplane.run_ppp = false;
  first->service->on_punted({SlotId(id), host.memory.sessions()[id].generation},
                            Bytes(frame(kLcp, kConfReq, 0x55, PppClient().lcp_options)).subspan(2));
  CHECK(first->stored().sessions.size() == 1);
  CHECK(audit_of(*first->service).findings.empty());
  const auto before = sessions_of(*first->service).at(0);
  first.reset();
  // Not one process later, but two: the second is killed before it gets an answer.
  { const Control second(host); }
  host.dataplane.run_ppp = true;
  Control third(host);
  REQUIRE(open_calls(third, 1));
  const auto after = sessions_of(*third.service).at(0);
  CHECK(after.id == before.id);
  CHECK(third.stored().sessions.at(0).lease.address == after.address);
  CHECK(after.user == "User");
  CHECK(after.mppe == "mppe128-stateless");
  CHECK(third.leases() == 1);
  CHECK_FALSE(third.stored().sessions.at(0).link.from_lcp);
  caller.barrier(third);
  CHECK(caller.last<CallDisconnectNotify>() == nullptr);
}

TEST_CASE("subscriber: a call that is ending when the process is killed has ended",
          "[subscriber][resume]") {
  Host host;
  auto first = std::make_unique<Control>(host);
  Caller caller(*first);
  establish(*first, caller);
  host.dataplane.run_ppp = false;
  const auto id = sessions_of(*first->service).at(0).slot.value;
  first->service->on_punted({SlotId(id), host.memory.sessions()[id].generation},
                            Bytes(frame(kLcp, kTermReq, 0x55)).subspan(2));
  CHECK(first->until([&] { return first->stored().sessions.empty(); }));
  first.reset();
  Control second(host);
  CHECK(second.until([&] { return caller.last<CallDisconnectNotify>() != nullptr; }));
  CHECK(second.until([&] { return second.all_free(); }));
}

TEST_CASE("subscriber: more slots than there are credits are cleared after a start without a store",
          "[subscriber][resume]") {
  Host host(3000);
  for (auto& record : host.memory.sessions()) {
    record.generation = 5;
    record.our_call_id = OurCallId(1);
    record.state = contract::SlotState::kInstalled;
  }
  Control control(host);
  CHECK(control.until([&] { return host.dataplane.slots_in_use() == 0; }));
  Caller caller(control);
  establish(control, caller);
}

TEST_CASE("subscriber: records of nobody are gone from the store after a start",
          "[subscriber][resume]") {
  Host host;
  {
    const auto journal = open_journal(host, [](resume::Journal::Action) {});
    resume::StoredConnection connection;
    connection.id = ConnectionId(900);
    journal->put(connection);
    resume::StoredSession stored;
    stored.slot = SlotId(3);
    stored.connection = ConnectionId(900);
    journal->put(stored);
    REQUIRE(journal->commit());
  }
  Control control(host);
  CHECK(control.stored().connections.empty());
  CHECK(control.stored().sessions.empty());
  CHECK(sessions_of(*control.service).empty());
}
