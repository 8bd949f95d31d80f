// SPDX-License-Identifier: BSD-3-Clause
//
// The limits of sessions, without real time: session time, idle time, quota, their change, and a
// restart of the control process.
#include "controlplane/subscriber/session_limits.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;
using model::ServiceLimits;

namespace {

constexpr std::optional<Seconds> kNone;

model::VolumeQuota total(std::uint64_t octets) {
  return {.upstream = {}, .downstream = {}, .total = octets};
}

ServiceLimits limits_of(std::optional<Seconds> time, std::optional<Seconds> idle = kNone,
                        const model::VolumeQuota& quota = {}) {
  return {.session_time = time, .idle_time = idle, .quota = quota};
}

model::ServiceChange change_of(std::optional<Seconds> time, std::optional<Seconds> idle = kNone,
                               const model::VolumeQuota& quota = {}) {
  model::ServiceChange change;
  change.session_time = time;
  change.idle_time = idle;
  change.quota = quota;
  return change;
}

// Dynamic authorization answers when the change is stored.
bool change_by(subscriber::DynamicSessions& changer, FakeEventLoop& loop, SessionId id,
               const model::ServiceChange& change) {
  std::optional<bool> answer;
  changer.apply(id, change, [&answer](bool done) { answer = done; });
  loop.run();
  REQUIRE(answer);
  return *answer;
}

struct Limited : FakeWorld {
  // `keeps_keys`: a restart of the control process does not make the client log in anew.
  explicit Limited(const ServiceLimits& limits, std::uint32_t slots = 8, bool keeps_keys = false)
      : FakeWorld(
            [slots](config::Config& wanted) {
              wanted.pools["default"].ranges = {
                  {Ipv4Address(0x0a400002), Ipv4Address(0x0a400002 + slots)}};
              wanted.pptp.limits.new_calls = {.rate = 0, .burst = 1};
            },
            true, slots) {
    change_account("User", [&](aaa::LocalUser& user) { user.terms.limits = limits; });
    commands.keeps_keys = keeps_keys;
    transport = connect();
    dial(*transport, 1);
    REQUIRE(sessions_of(*service).size() == 1);
  }
  bool change_limits(SessionId id, const model::ServiceChange& change) {
    if (changer == nullptr) changer = &service->authorize_dynamically();
    return change_by(*changer, loop, id, change);
  }
  // Inner packets of one direction are forwarded.
  void move_up(std::uint64_t octets) {
    auto& half = memory.sessions()[slot].upstream;
    half.packets.add(1);
    half.bytes.add(octets);
  }
  void move_down(std::uint64_t octets) {
    auto& half = memory.sessions()[slot].downstream;
    half.packets.add(1);
    half.bytes.add(octets);
  }
  // Milliseconds until no session is left, at most `within`.
  std::int64_t ended_after(Duration within) {
    Duration passed{};
    for (constexpr auto kStep = Milliseconds(50); passed < within; passed += kStep) {
      if (sessions_of(*service).empty()) break;
      live(*transport, kStep);
    }
    REQUIRE(sessions_of(*service).empty());
    return std::chrono::duration_cast<Milliseconds>(passed).count();
  }
  [[nodiscard]] bool is_open() const {
    const auto sessions = sessions_of(*service);
    return sessions.size() == 1 && sessions.front().state == "open";
  }
  [[nodiscard]] std::int64_t ended(EndReason reason) const {
    return statistics.call_ends[static_cast<std::size_t>(reason)].get();
  }
  [[nodiscard]] std::size_t disconnects() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(transport->sent, [](const wire::pptp::Message& message) {
          return std::holds_alternative<wire::pptp::CallDisconnectNotify>(message);
        }));
  }
  // Another control process takes the sessions over.
  void restart() {
    REQUIRE(journal->commit());
    commands.is_attached = false;
    changer = nullptr;
    make_service();
    std::vector<contract::Grants::Connection> granted;
    granted.push_back(
        {UniqueFd(), ConnectionId(1), Ipv4Address(0xc6336401), Ipv4Address(0xcb007105), 4711});
    service->take_over(std::move(granted));
    transport = transports.back();
    commands.is_attached = true;
    service->on_dataplane_attached();
    loop.run();
    REQUIRE(is_open());
  }

  std::uint32_t slot = 0;
  std::shared_ptr<FakeTransport> transport;
  subscriber::DynamicSessions* changer = nullptr;  // of the service that runs
};

struct OneSession : Limited {
  explicit OneSession(const ServiceLimits& limits, bool keeps_keys = false)
      : Limited(limits, 8, keeps_keys) {
    slot = only_session().slot.value;
  }
};

}  // namespace

TEST_CASE("session limits: a session ends when its time has passed, politely",
          "[subscriber][limits][rfc2865-5.27]") {
  OneSession world(limits_of(Seconds(90)));
  const auto slot = world.slot;
  bool said_goodbye = false;
  world.commands.lose = [&](Bytes frame) {  // an answer of the client: Terminate-Ack of LCP
    said_goodbye |= frame.size() > 4 && frame[2] == std::byte{0xc0} &&
                    frame[3] == std::byte{0x21} && frame[4] == std::byte{6};
    return false;
  };
  world.live(*world.transport, Seconds(89));
  CHECK(world.is_open());
  CHECK(world.ended_after(Seconds(3)) <= 2000);
  CHECK(said_goodbye);
  CHECK(world.ended(EndReason::session_timeout) == 1);
  CHECK(world.disconnects() == 1);
  CHECK(world.memory.sessions()[slot].state == contract::SlotState::kFree);
  CHECK_FALSE(world.transport->closed);
}

TEST_CASE("session limits: idle time counts inner packets of either direction alone",
          "[subscriber][limits][rfc2865-5.28]") {
  OneSession world(limits_of(kNone, Seconds(30)));
  for (int i = 0; i < 4; ++i) {
    world.live(*world.transport, Seconds(20));
    REQUIRE(world.is_open());
    i % 2 == 0 ? world.move_up(100) : world.move_down(100);
  }
  world.live(*world.transport, Seconds(29));
  CHECK(world.is_open());
  // GRE without an inner packet does not count.
  world.commands.hear(world.slot);
  world.memory.sessions()[world.slot].upstream.gre_packets.add(1);
  CHECK(world.ended_after(Seconds(5)) <= 2100);
  CHECK(world.ended(EndReason::idle_timeout) == 1);
}

TEST_CASE("session limits: a quota of a direction, or of both together", "[subscriber][limits]") {
  SECTION("upstream") {
    OneSession world(limits_of(kNone, kNone, {.upstream = 1000, .downstream = {}, .total = {}}));
    world.move_down(5000);
    world.move_up(999);
    world.live(*world.transport, Seconds(5));
    CHECK(world.is_open());
    world.move_up(1);
    CHECK(world.ended_after(Seconds(3)) <= 1050);
    CHECK(world.ended(EndReason::quota_used) == 1);
  }
  SECTION("downstream") {
    OneSession world(limits_of(kNone, kNone, {.upstream = {}, .downstream = 1000, .total = {}}));
    world.move_up(5000);
    world.live(*world.transport, Seconds(5));
    CHECK(world.is_open());
    world.move_down(1000);
    CHECK(world.ended_after(Seconds(3)) <= 1050);
  }
  SECTION("both") {
    OneSession world(limits_of(kNone, kNone, {.upstream = {}, .downstream = {}, .total = 1000}));
    world.move_up(500);
    world.live(*world.transport, Seconds(5));
    CHECK(world.is_open());
    world.move_down(500);
    CHECK(world.ended_after(Seconds(3)) <= 1050);
    CHECK(world.ended(EndReason::quota_used) == 1);
  }
}

TEST_CASE("session limits: they can be changed on a live session",
          "[subscriber][limits][rfc5176]") {
  OneSession world(limits_of(Seconds(60), Seconds(40)));
  const SessionId id = world.only_session().id;
  world.live(*world.transport, Seconds(30));
  // The time counts from the beginning; no idle time from now on.
  CHECK(world.change_limits(id, change_of(Seconds(120), Seconds(0))));
  world.live(*world.transport, Seconds(80));
  CHECK(world.is_open());
  CHECK(world.change_limits(id, change_of(kNone, Seconds(5))));
  CHECK(world.change_limits(id, change_of(kNone, Seconds(1000))));
  world.move_up(1000);
  CHECK(world.change_limits(id, change_of(kNone, kNone, total(1001))));
  world.live(*world.transport, Seconds(5));
  CHECK(world.is_open());
  // One that is used up already ends the session at the next look.
  CHECK(world.change_limits(id, change_of(kNone, kNone, total(1000))));
  CHECK(world.ended_after(Seconds(3)) <= 1050);
  CHECK(world.ended(EndReason::quota_used) == 1);
  CHECK_FALSE(world.change_limits(id, change_of(kNone, Seconds(5))));
}

TEST_CASE("session limits: a change counts in the idle time that has passed",
          "[subscriber][limits]") {
  OneSession world(limits_of(kNone, Seconds(1000)));
  world.live(*world.transport, Seconds(60));
  CHECK(world.change_limits(world.only_session().id, change_of(kNone, Seconds(61))));
  CHECK(world.is_open());
  CHECK(world.ended_after(Seconds(4)) <= 2100);
}

TEST_CASE("session limits: they go on after a restart of the control process",
          "[subscriber][limits][resume]") {
  OneSession world(limits_of(Seconds(100), Seconds(1000), total(2000)), true);
  world.live(*world.transport, Seconds(60));
  SECTION("time") {
    world.restart();
    world.live(*world.transport, Seconds(39));
    CHECK(world.is_open());
    CHECK(world.ended_after(Seconds(3)) <= 2050);
    CHECK(world.ended(EndReason::session_timeout) == 1);
  }
  SECTION("quota") {
    world.move_up(1500);
    world.restart();
    world.live(*world.transport, Seconds(2));
    CHECK(world.is_open());
    world.move_down(500);
    CHECK(world.ended_after(Seconds(3)) <= 1050);
  }
  SECTION("a change, until the client logs in anew") {
    CHECK(world.change_limits(world.only_session().id, change_of(Seconds(70), kNone, total(0))));
    world.loop.run();
    world.restart();
    world.move_down(5000);
    world.live(*world.transport, Seconds(9));
    CHECK(world.is_open());
    CHECK(world.ended_after(Seconds(3)) <= 2050);
  }
}

TEST_CASE("session limits: an account may have an interval of reports of its own, or none",
          "[subscriber][limits]") {
  class Reports final : public subscriber::SessionListener {
   public:
    void on_counters_due(const subscriber::Session& session) override {
      ++of[session.account().user()];
    }
    std::map<std::string, int> of;
  } reports;
  FakeWorld world;
  world.service->add_listener(reports);
  world.service->set_counter_interval(Seconds(600));
  const auto transport = world.connect();
  world.dial(*transport, 1);
  world.change_account("Other", [](aaa::LocalUser& user) { user.interim_interval = Seconds(0); });
  world.commands.next_client.user = "Other";
  world.dial(*transport, 2);
  world.change_account("1234", [](aaa::LocalUser& user) { user.interim_interval = Seconds(60); });
  world.commands.next_client.user = "1234";
  world.dial(*transport, 3);
  REQUIRE(sessions_of(*world.service).size() == 3);
  world.live(*transport, Seconds(1200));
  CHECK(reports.of["User"] == 2);
  CHECK(reports.of["Other"] == 0);
  CHECK(reports.of["1234"] == 20);
}

TEST_CASE("session limits: without limits no timer runs, and none is left behind",
          "[subscriber][limits]") {
  FakeWorld world;
  FakeEventLoop loop;  // of nothing but the limits
  subscriber::SessionTable sessions(world.memory);
  subscriber::SessionLimits limits(loop, world.memory, sessions, [](const auto&, EndReason) {});
  world.service->add_listener(limits);
  const auto transport = world.connect();
  world.dial(*transport, 1);
  CHECK_FALSE(loop.timers().next());
  const SessionId id = world.only_session().id;
  auto& changer = world.service->authorize_dynamically();
  CHECK(change_by(changer, world.loop, id, change_of(Seconds(60), Seconds(9))));
  CHECK(loop.timers().next());
  transport->receive(wire::pptp::CallClearRequest{.call_id = 1});
  world.loop.run();
  loop.advance(Seconds(61));
  CHECK_FALSE(loop.timers().next());
}

TEST_CASE("session limits: a thousand sessions of one second end within the next one",
          "[subscriber][limits]") {
  constexpr std::uint32_t kSessions = 1000;
  Limited world(limits_of(Seconds(300)), 1024);
  for (std::uint16_t i = 2; i <= kSessions; ++i) world.dial(*world.transport, i);
  REQUIRE(
      world.statistics.sessions_by_phase[static_cast<std::size_t>(model::LinkPhase::kOpen)].get() ==
      kSessions);
  world.live(*world.transport, Seconds(299));
  CHECK(world.ended(EndReason::session_timeout) == 0);
  world.live(*world.transport, Seconds(2));
  CHECK(world.ended(EndReason::session_timeout) == kSessions);
  CHECK(world.disconnects() == kSessions);
}

namespace {

const std::vector<std::byte> kState = {std::byte{0}, std::byte{0x5a}};

// A session whose account logs in again at the end of its 100 s. Later logins have 50 s.
struct LogsInAgain : OneSession {
  LogsInAgain() : OneSession(limits_of(kNone), true) {
    judge.amend = [this](model::AuthGrant& grant) {
      grant.terms.limits.session_time = Seconds(logins++ == 0 ? 100 : 50);
      if (logins <= asked_again) grant.login_again = kState;
      if (other_user && logins > 1) grant.user = "Other";
      grant.origin = {.is_radius = true, .classes = {{static_cast<std::byte>(logins)}}};
    };
    transport->receive(wire::pptp::CallClearRequest{.call_id = 1});
    live(*transport, Seconds(10));
    dial(*transport, 2);
    REQUIRE(is_open());
    slot = only_session().slot.value;
    REQUIRE(logins == 1);
  }
  int logins = 0;
  int asked_again = 1;  // so many logins ask for another one
  bool other_user = false;
};

}  // namespace

TEST_CASE("session limits: an account that must log in again does, with State, and goes on",
          "[subscriber][limits][rfc2865-5.29][rfc2865-5.24]") {
  LogsInAgain world;
  CHECK(world.judge.last.state.empty());
  world.live(*world.transport, Seconds(98));
  CHECK(world.logins == 1);
  world.live(*world.transport, Seconds(4));
  CHECK(world.logins == 2);
  CHECK(world.judge.last.state == kState);
  CHECK(world.judge.last.user == "User");
  CHECK(world.is_open());
  const auto terms = world.only_session().terms;
  CHECK(terms.classes == std::vector<std::vector<std::byte>>{{std::byte{2}}});
  REQUIRE(terms.session_left_s);
  CHECK((*terms.session_left_s >= 45 && *terms.session_left_s <= 50));
  // The last login did not ask for another one.
  world.live(*world.transport, Seconds(44));
  CHECK(world.is_open());
  CHECK(world.ended_after(Seconds(8)) > 0);
  CHECK(world.logins == 2);
  CHECK(world.ended(EndReason::session_timeout) == 1);
}

TEST_CASE("session limits: the client that must log in again must be the same account",
          "[subscriber][limits][rfc2865-5.29]") {
  LogsInAgain world;
  world.other_user = true;
  world.live(*world.transport, Seconds(98));
  CHECK(world.is_open());
  CHECK(world.ended_after(Seconds(10)) > 0);
  CHECK(world.ended(EndReason::auth_failed) == 1);
}

TEST_CASE("session limits: a login that must be repeated is remembered by the next process",
          "[subscriber][limits][resume][rfc2865-5.29]") {
  LogsInAgain world;
  world.live(*world.transport, Seconds(60));
  world.restart();
  world.live(*world.transport, Seconds(42));
  CHECK(world.logins == 2);
  CHECK(world.judge.last.state == kState);
  CHECK(world.is_open());
}
