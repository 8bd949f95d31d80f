// SPDX-License-Identifier: BSD-3-Clause
//
// Networks behind subscribers: from the account to the dataplane and the kernel, and back with the
// end of the session, over restarts of either plane.
#include <catch2/catch.hpp>

#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;

namespace {

using Routes = std::set<std::string>;

const Networks kSite{{Ipv4Prefix::parse("192.168.50.0/24").value()},
                     {Ipv6Prefix::parse("2001:db8:50::/48").value()}};
const Networks kInForce{kSite.ipv4, {}};  // no link here has IPv6

struct Sites : FakeWorld {
  explicit Sites(const std::function<void(config::Config&)>& change = {}) : FakeWorld(change) {
    give_routes("User", kSite);
    commands.keeps_keys = true;
  }
  [[nodiscard]] std::int64_t ended(EndReason reason) const {
    return static_cast<std::int64_t>(statistics.call_ends[static_cast<std::size_t>(reason)].get());
  }
};

}  // namespace

TEST_CASE("subscriber networks: they come into force with the session, and go with it",
          "[subscriber][networks]") {
  Sites world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  REQUIRE(world.only_session().state == "open");
  CHECK(world.only_session().networks == kInForce);
  CHECK(world.commands.networks_of.at(world.only_session().slot.value) == kInForce);
  CHECK(world.keeper.routes == Routes{"192.168.50.0/24"});
  CHECK(world.pools->leased_networks() == 2);
  transport->receive(wire::pptp::CallClearRequest{.call_id = 1});
  world.loop.run();
  CHECK(sessions_of(*world.service).empty());
  CHECK(world.keeper.routes.empty());
  CHECK(world.keeper.route_changes == 2);
  CHECK(world.pools->leased_networks() == 0);
}

TEST_CASE("subscriber networks: an account without any costs nobody a command",
          "[subscriber][networks]") {
  FakeWorld world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  REQUIRE(world.only_session().state == "open");
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(world.commands.networks_of.empty());
  CHECK(world.keeper.route_changes == 0);
}

TEST_CASE("subscriber networks: a second session of the account waits for the first one's",
          "[subscriber][networks][redial]") {
  const auto policy = GENERATE(config::OnLimit::kRefuse, config::OnLimit::kReplace);
  Sites world([policy](config::Config& config) { config.aaa.on_limit = policy; });
  world.dial(*world.connect(), 1);
  const auto first = world.only_session().id;
  world.dial(*world.connect(Ipv4Address(0xcb007106)), 2);
  world.loop.advance(Seconds(3));
  world.loop.run();
  REQUIRE(sessions_of(*world.service).size() == 1);
  CHECK(world.keeper.routes == Routes{"192.168.50.0/24"});
  if (policy == config::OnLimit::kRefuse) {
    CHECK(world.only_session().id == first);
    CHECK(world.ended(EndReason::route_in_use) == 1);
  } else {
    CHECK(world.only_session().id != first);
    CHECK(world.ended(EndReason::replaced) == 1);
    CHECK(world.only_session().networks == kInForce);
  }
  auto audit = world.service->begin_audit();
  while (audit.turn()) {
  }
  CHECK(audit.view().findings_in_all == 0);
}

TEST_CASE("subscriber networks: one that holds an address of the server ends the call",
          "[subscriber][networks]") {
  Sites world;
  subscriber::OwnAddresses own;
  own.addresses = {Ipv4Address(0xc0a83205)};
  world.service->set_own_addresses(own);
  world.dial(*world.connect(), 1);
  world.loop.advance(Seconds(1));
  CHECK(sessions_of(*world.service).empty());
  CHECK(world.ended(EndReason::route_not_leasable) == 1);
  CHECK(world.pools->leased() == 0);
  CHECK(world.keeper.route_changes == 0);
}

TEST_CASE("subscriber networks: a dataplane that comes back hears them again",
          "[subscriber][networks]") {
  Sites world;
  world.dial(*world.connect(), 1);
  world.commands.networks_of.clear();
  world.commands.is_attached = false;
  world.service->on_dataplane_detached();
  CHECK(world.keeper.routes.size() == 1);  // routing daemons notice nothing
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(world.commands.networks_of.at(world.only_session().slot.value) == kInForce);
  CHECK(world.keeper.route_changes == 1);
}

TEST_CASE("subscriber networks: a control process that comes back knows them",
          "[subscriber][networks][resume]") {
  Sites world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  const auto id = world.only_session().id;
  REQUIRE(world.journal->commit());
  world.make_service();
  world.commands.is_attached = false;
  world.commands.networks_of.clear();
  world.keeper.routes.clear();  // the supervisor waits to hear them again
  std::vector<contract::Grants::Connection> granted;
  granted.push_back(
      {UniqueFd(), ConnectionId(1), Ipv4Address(0xc6336401), Ipv4Address(0xcb007105), 4711});
  world.service->take_over(std::move(granted));
  CHECK(world.only_session().id == id);
  CHECK(world.keeper.routes == Routes{"192.168.50.0/24"});  // before it is ready
  CHECK(world.pools->leased_networks() == 2);
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(world.commands.networks_of.at(world.only_session().slot.value) == kInForce);
  CHECK(world.only_session().networks == kInForce);
}

TEST_CASE("subscriber networks: a dataplane that knows no networks keeps the call, another ends it",
          "[subscriber][networks]") {
  const auto result =
      GENERATE(contract::ReplyResult::kBadMessage, contract::ReplyResult::kNoMemory);
  Sites world;
  world.commands.networks_result = result;
  world.dial(*world.connect(), 1);
  world.loop.advance(Seconds(3));
  const bool older = result == contract::ReplyResult::kBadMessage;
  CHECK(sessions_of(*world.service).size() == (older ? 1 : 0));
  CHECK(world.ended(EndReason::dataplane_refused) == (older ? 0 : 1));
  CHECK(world.keeper.route_changes == 0);
}

TEST_CASE("subscriber networks: many sites at once use a share of the commands",
          "[subscriber][networks]") {
  constexpr std::uint32_t kSites = 300;
  FakeWorld world(
      [](config::Config& config) {
        config.pools["default"].ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a400ffe)}};
        config.pptp.limits.exempt = {Ipv4Prefix::parse("0.0.0.0/0").value()};
      },
      true, 512);
  world.commands.keeps_keys = true;
  std::vector<aaa::LocalUser> users(kSites);
  for (std::uint32_t i = 0; i < kSites; ++i) {
    users[i].name = "site" + std::to_string(i);
    users[i].nt_hash = crypto::nt_password_hash("clientPass").value();
    users[i].networks = std::make_shared<const Networks>(
        Networks{{Ipv4Prefix{Ipv4Address(0x0b000000 + (i << 8)), 24}}, {}});
  }
  world.authenticator.emplace(std::move(users), world.random);
  for (std::uint32_t i = 0; i < kSites; ++i) {
    world.commands.next_client.user = "site" + std::to_string(i);
    world.dial(*world.connect(Ipv4Address(0xcb000000 + i)), 1);
  }
  REQUIRE(world.keeper.routes.size() == kSites);
  world.commands.networks_of.clear();
  world.service->on_dataplane_attached();
  CHECK(world.commands.networks_of.size() == contract::kCommandCredits / 8);
  world.loop.run();
  CHECK(world.commands.networks_of.size() == kSites);
  CHECK(world.keeper.route_changes == static_cast<int>(kSites));
}
