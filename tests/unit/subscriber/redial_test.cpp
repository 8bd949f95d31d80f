// SPDX-License-Identifier: BSD-3-Clause
//
// A client whose old session is still up dials again: aaa.sessions_per_user, aaa.on_limit, fixed
// addresses, full pools, and the same Call ID.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;
using config::OnLimit;

namespace {

constexpr Ipv4Address kHome(0xcb007105);
constexpr Ipv4Address kElsewhere(0xcb007106);

struct Redial : FakeWorld {
  explicit Redial(const std::function<void(config::Config&)>& change) : FakeWorld(change) {}

  // The account logs in from `peer` with this Call ID. Result: the reason for which the call ended
  // within `wait`, "open" when its link is.
  std::string log_in(Ipv4Address peer, std::uint16_t call_id, Duration wait = Seconds(2)) {
    loop.advance(Milliseconds(10));  // no two packets at one moment
    const auto ended = service->last_ends().size();
    const auto transport = connect(peer);
    dial(*transport, call_id);
    for (Duration passed{}; passed <= wait; passed += Milliseconds(10)) {
      for (const auto& view : sessions_of(*service))
        if (view.peer == peer && view.peer_call_id.value == call_id && view.state == "open" &&
            view.id != previous_)
          return previous_ = view.id, took = passed, "open";
      const auto ends = service->last_ends();
      for (std::size_t i = 0; i + ended < ends.size(); ++i)
        if (ends[i].peer == peer && ends[i].reason != "replaced") return ends[i].reason;
      loop.advance(Milliseconds(10));
    }
    return "nothing";
  }
  // Clients of all sessions that are up lose their power.
  void power_cut() {
    for (const auto& view : sessions_of(*service)) commands.silent_slots.insert(view.slot.value);
  }
  [[nodiscard]] std::int64_t ended(EndReason reason) const {
    return static_cast<std::int64_t>(statistics.call_ends[static_cast<std::size_t>(reason)].get());
  }

  Duration took{};

 private:
  SessionId previous_{};
};

config::Config& small_pool(config::Config& config, std::uint32_t addresses) {
  config.pools["default"] = {
      .ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a400001 + addresses)}},
      .gateway = Ipv4Address(0x0a400001)};
  return config;
}

}  // namespace

TEST_CASE("redial: after a power cut a fixed address is the new call's within two seconds",
          "[subscriber][redial][conformance-75]") {
  Redial world([](config::Config&) {});
  world.give_fixed_address("User", Ipv4Address(0x0a400042));
  REQUIRE(world.log_in(kHome, 1) == "open");
  CHECK(world.only_session().address == Ipv4Address(0x0a400042));
  world.power_cut();

  // Another address and another Call ID: nothing but the account says that it is the same client.
  CHECK(world.log_in(kElsewhere, 9) == "open");
  CHECK(world.took >= Milliseconds(900));  // the old session had its chance to answer
  CHECK(world.only_session().peer == kElsewhere);
  CHECK(world.only_session().address == Ipv4Address(0x0a400042));
  CHECK(world.ended(EndReason::replaced) == 1);
}

TEST_CASE("redial: a fixed address whose holder answers stays where it is",
          "[subscriber][redial]") {
  Redial world([](config::Config&) {});
  world.give_fixed_address("User", Ipv4Address(0x0a400042));
  REQUIRE(world.log_in(kHome, 1) == "open");
  CHECK(world.log_in(kElsewhere, 9) == "address_in_use");
  CHECK(world.only_session().peer == kHome);
}

TEST_CASE("redial: the fixed address of another account is refused, or its session ends",
          "[subscriber][redial]") {
  const auto conflict = GENERATE(config::OnConflict::kRefuse, config::OnConflict::kReplace);
  Redial world([conflict](config::Config& config) { config.aaa.on_conflict = conflict; });
  auto users = accounts();
  for (auto& account : users) account.address = Ipv4Address(0x0a400042);
  world.authenticator.emplace(std::move(users), world.random);
  REQUIRE(world.log_in(kHome, 1) == "open");
  world.commands.next_client.user = "Other";
  const bool refused = conflict == config::OnConflict::kRefuse;
  CHECK(world.log_in(kElsewhere, 2) == (refused ? "address_in_use" : "open"));
  CHECK(world.only_session().user == (refused ? "User" : "Other"));
  CHECK(world.ended(EndReason::replaced) == (refused ? 0 : 1));
}

TEST_CASE("pools: the account, its group, and the dialled address choose the pool",
          "[subscriber][pools]") {
  const auto base = [](unsigned number) {
    const std::uint32_t first = 0x0a410002 + number * 0x10000;
    return config::Pool{.ranges = {{Ipv4Address(first), Ipv4Address(first + 9)}},
                        .gateway = Ipv4Address(first - 1)};
  };
  Redial world([&](config::Config& config) {
    config.pools["by-name"] = base(0);
    config.pools["by-group"] = base(1);
    config.pools["by-group"].groups = {"staff"};
    config.pools["by-address"] = base(2);
    config.pools["by-address"].dialled = {Ipv4Address(0xc6336401)};
  });
  const auto pool_of = [&](const std::string& pool, const std::vector<std::string>& groups,
                           std::uint16_t call_id) {
    auto users = accounts();
    for (auto& account : users) account.pool = pool, account.groups = groups;
    world.authenticator.emplace(std::move(users), world.random);
    REQUIRE(world.log_in(kHome, call_id) == "open");
    const auto views = sessions_of(*world.service);
    const auto view = std::ranges::max_element(
        views, {}, [](const subscriber::SessionView& session) { return session.id; });
    return (view->address.value >> 16) - 0x0a41;
  };
  CHECK(pool_of("", {}, 1) == 2);
  CHECK(pool_of("", {"guests", "staff"}, 2) == 1);
  CHECK(pool_of("by-name", {"staff"}, 3) == 0);
}

TEST_CASE("redial: a full pool that the account filled itself has room again",
          "[subscriber][redial][conformance-64]") {
  Redial world([](config::Config& config) { small_pool(config, 2); });
  REQUIRE(world.log_in(kHome, 1) == "open");
  REQUIRE(world.log_in(kHome, 2) == "open");
  SECTION("its clients have lost their power") {
    world.power_cut();
    CHECK(world.log_in(kElsewhere, 3) == "open");
    CHECK(sessions_of(*world.service).size() == 2);
    CHECK(world.ended(EndReason::replaced) == 1);
  }
  SECTION("one of them is silent: that one goes") {
    world.commands.silent_slots.insert(sessions_of(*world.service).at(1).slot.value);
    const SessionId stays = sessions_of(*world.service).at(0).id;
    CHECK(world.log_in(kElsewhere, 3) == "open");
    CHECK(sessions_of(*world.service, {.kind = subscriber::Selector::Kind::kId, .id = stays})
              .size() == 1);
  }
  SECTION("its clients answer") {
    CHECK(world.log_in(kElsewhere, 3) == "no_address");
    CHECK(sessions_of(*world.service).size() == 2);
  }
  SECTION("another account's sessions end for nobody") {
    world.power_cut();
    world.commands.next_client.user = "Other";
    CHECK(world.log_in(kElsewhere, 3) == "no_address");
    CHECK(sessions_of(*world.service).size() == 2);
  }
}

TEST_CASE("redial: sessions of an account are limited, and on_limit says what then",
          "[subscriber][redial]") {
  const auto limited = [](OnLimit on_limit) {
    return [on_limit](config::Config& config) {
      config.aaa.sessions_per_user = 2;
      config.aaa.on_limit = on_limit;
    };
  };
  const auto third = [](Redial& world) {
    REQUIRE(world.log_in(kHome, 1) == "open");
    world.loop.advance(Seconds(1));
    REQUIRE(world.log_in(kHome, 2) == "open");
    const SessionId oldest = sessions_of(*world.service).at(0).id;
    const std::string result = world.log_in(kElsewhere, 3);
    CHECK(sessions_of(*world.service).size() == 2);
    return std::pair(
        result, sessions_of(*world.service, {.kind = subscriber::Selector::Kind::kId, .id = oldest})
                    .empty());
  };
  SECTION("refuse") {
    Redial world(limited(OnLimit::kRefuse));
    CHECK(third(world) == std::pair(std::string("session_limit"), false));
    // The account of somebody else has places of its own.
    world.commands.next_client.user = "Other";
    CHECK(world.log_in(kElsewhere, 4) == "open");
  }
  SECTION("refuse, silent or not") {
    Redial world(limited(OnLimit::kRefuse));
    REQUIRE(world.log_in(kHome, 1) == "open");
    REQUIRE(world.log_in(kHome, 2) == "open");
    world.power_cut();
    CHECK(world.log_in(kElsewhere, 3) == "session_limit");
  }
  SECTION("replace: the oldest ends at once") {
    Redial world(limited(OnLimit::kReplace));
    CHECK(third(world) == std::pair(std::string("open"), true));
    CHECK(world.took < Milliseconds(500));
  }
  SECTION("replace_if_silent: nobody is silent") {
    Redial world(limited(OnLimit::kReplaceIfSilent));
    CHECK(third(world) == std::pair(std::string("session_limit"), false));
  }
  SECTION("replace_if_silent: the silent one ends, though it is not the oldest") {
    Redial world(limited(OnLimit::kReplaceIfSilent));
    REQUIRE(world.log_in(kHome, 1) == "open");
    REQUIRE(world.log_in(kHome, 2) == "open");
    const SessionId oldest = sessions_of(*world.service).at(0).id;
    world.commands.silent_slots.insert(sessions_of(*world.service).at(1).slot.value);
    CHECK(world.log_in(kElsewhere, 3) == "open");
    CHECK(sessions_of(*world.service, {.kind = subscriber::Selector::Kind::kId, .id = oldest})
              .size() == 1);
    CHECK(sessions_of(*world.service).size() == 2);
  }
}

TEST_CASE("redial: a client that comes back with the same Call ID is up within two seconds",
          "[subscriber][redial][wire-facts-5][conformance-64][conformance-75]") {
  Redial world([](config::Config&) {});
  REQUIRE(world.log_in(kHome, 1) == "open");
  const auto first = world.transports.back();
  const SessionId old = world.only_session().id;
  const auto old_slot = world.only_session().slot.value;
  const auto was_asked = [&] {
    return std::ranges::any_of(first->sent, [](const auto& message) {
      return std::holds_alternative<wire::pptp::EchoRequest>(message);
    });
  };
  const auto redial = [&] {
    const auto second = world.connect(kHome);
    world.dial(*second, 1);
    world.loop.advance(Milliseconds(100));
    CHECK(was_asked());
    CHECK(world.only_session().id == old);  // the question is open
    return second;
  };
  const auto result_of = [](const FakeTransport& transport) {
    for (const auto& message : transport.sent)
      if (const auto* reply = std::get_if<wire::pptp::OutgoingCallReply>(&message))
        return static_cast<int>(reply->result_code);
    return 0;
  };

  SECTION("it lost its power: the old connection is silent") {
    CHECK(world.log_in(kHome, 1) == "open");
    CHECK(was_asked());
    CHECK(world.took <= Milliseconds(1500));
    CHECK(world.ended(EndReason::replaced) == 1);
    CHECK(world.only_session().id != old);
  }
  SECTION("its TCP answers the question with RST") {
    const auto second = redial();
    first->lose();
    world.loop.advance(Milliseconds(300));
    CHECK(result_of(*second) == 1);
    CHECK(world.only_session().state == "open");
    CHECK(world.only_session().id != old);
  }
  SECTION("the old connection answers: another client behind the same address keeps its call") {
    const auto second = redial();
    first->receive(wire::pptp::EchoReply{.identifier = 1, .result_code = 1});
    world.loop.advance(Milliseconds(100));
    CHECK(result_of(*second) == 4);  // Busy
    world.loop.advance(Seconds(3));
    CHECK(world.only_session().id == old);
    CHECK(world.ended(EndReason::peer_call_id_busy) == 1);
  }
  SECTION("GRE of the old call comes: it keeps its place") {
    const auto second = redial();
    world.commands.hear(old_slot);
    world.loop.advance(Milliseconds(100));
    CHECK(result_of(*second) == 4);
    CHECK(world.only_session().id == old);
  }
  SECTION("the new connection is gone before the answer: nothing is left of its call") {
    const auto second = redial();
    second->lose();
    world.loop.advance(Seconds(3));
    CHECK(sessions_of(*world.service).empty());
    CHECK(world.ended(EndReason::replaced) == 1);
  }
  SECTION("two calls ask for one place: one of them has it") {
    const auto second = redial();
    const auto third = world.connect(kHome);
    world.dial(*third, 1);
    world.loop.advance(Seconds(3));
    CHECK(result_of(*second) == 1);
    CHECK(result_of(*third) == 4);
    CHECK(world.only_session().state == "open");
  }
  SECTION("the question is asked once, however many calls want the place") {
    for (int i = 0; i < 8; ++i) {
      const auto other = world.connect(kHome);
      world.dial(*other, 1);
    }
    world.loop.advance(Milliseconds(500));
    CHECK(std::ranges::count_if(first->sent, [](const auto& message) {
            return std::holds_alternative<wire::pptp::EchoRequest>(message);
          }) == 1);
  }
}

TEST_CASE("redial: logins of one account at once never exceed its limit", "[subscriber][redial]") {
  Redial world([](config::Config& config) {
    config.aaa.sessions_per_user = 1;
    config.aaa.on_limit = OnLimit::kReplace;
  });
  std::vector<std::shared_ptr<FakeTransport>> transports;
  for (std::uint32_t i = 0; i < 6; ++i) {
    transports.push_back(world.connect(Ipv4Address(kHome.value + i)));
    transports.back()->receive(wire::pptp::OutgoingCallRequest{
        .call_id = 1, .maximum_bps = 100'000'000, .packet_recv_window_size = 64});
  }
  world.loop.run();
  world.loop.advance(Seconds(5));
  CHECK(sessions_of(*world.service).size() == 1);
  CHECK(world.only_session().state == "open");
  CHECK(world.pools->status().at(0).in_use == 1);
}

TEST_CASE("redial: what waits for an old session and is gone takes nothing",
          "[subscriber][redial]") {
  Redial world([](config::Config&) {});
  world.give_fixed_address("User", Ipv4Address(0x0a400042));
  REQUIRE(world.log_in(kHome, 1) == "open");
  world.power_cut();
  const auto transport = world.connect(kElsewhere);
  world.dial(*transport, 9);
  world.loop.advance(Milliseconds(200));
  transport->lose();
  world.loop.advance(Seconds(3));
  CHECK(sessions_of(*world.service).size() <= 1);
  // The address is free, or the old session's.
  CHECK(world.pools->status().at(0).in_use == sessions_of(*world.service).size());
  CHECK(world.log_in(kElsewhere, 10) == "open");
}

TEST_CASE("subscriber: an address that the host takes is leased no more, and its session ends",
          "[subscriber][addresses]") {
  Redial world([](config::Config& config) { small_pool(config, 3); });
  REQUIRE(world.log_in(kHome, 1) == "open");
  const Ipv4Address taken = world.only_session().address;
  subscriber::OwnAddresses own;
  subscriber::add_own(own, {Ipv4Address(0xc0000201), 24});
  world.service->set_own_addresses(own);
  CHECK(sessions_of(*world.service).size() == 1);
  subscriber::add_own(own, {taken, 32});
  world.service->set_own_addresses(own);
  world.loop.advance(Seconds(5));
  CHECK(sessions_of(*world.service).empty());
  CHECK(world.ended(EndReason::address_lost) == 1);
  REQUIRE(world.log_in(kHome, 2) == "open");
  REQUIRE(world.log_in(kHome, 3) == "open");
  for (const auto& view : sessions_of(*world.service)) CHECK(view.address != taken);
  CHECK(world.log_in(kHome, 4) == "no_address");
  // And back.
  world.service->set_own_addresses({});
  CHECK(world.log_in(kHome, 5) == "open");
}

TEST_CASE("redial: an account's own number of sessions comes before that of the configuration",
          "[subscriber][redial][rfc2865-5.42]") {
  Redial world([](config::Config& config) {
    config.aaa.sessions_per_user = 1;
    config.aaa.on_limit = OnLimit::kRefuse;
  });
  world.change_account("User", [](aaa::LocalUser& user) { user.sessions = 2; });
  CHECK(world.log_in(kHome, 1) == "open");
  CHECK(world.log_in(kHome, 2) == "open");
  CHECK(world.log_in(kHome, 3) == "session_limit");
  world.change_account("User", [](aaa::LocalUser& user) { user.sessions = 0; });  // any number
  CHECK(world.log_in(kHome, 4) == "open");
}
