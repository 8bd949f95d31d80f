// SPDX-License-Identifier: BSD-3-Clause
//
// Prefixes that DHCPv6 delegates: from the pool or the account into force, and back, over restarts
// of the control process and negotiations of the link.
#include <catch2/catch.hpp>

#include "pns/wire/dhcpv6.hpp"
#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;
using wire::Dhcpv6Ia;
using wire::Dhcpv6Message;
using wire::Dhcpv6Type;

namespace {

using Routes = std::set<std::string>;
using Kind = Dhcpv6Ia::Kind;

constexpr std::uint64_t kPeersId = 0x02000000000000aa;
constexpr const char* kFirst = "2001:db8:200::/56";

struct Homes : FakeWorld {
  explicit Homes(const std::function<void(config::Config&)>& change = {})
      : FakeWorld([&change](config::Config& changed) {
          changed.pools["default"].ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:1::/48")};
          changed.pools["default"].delegated_prefixes = {*Ipv6Prefix::parse("2001:db8:200::/55")};
          if (change) change(changed);
        }) {
    commands.keeps_keys = true;
    commands.next_client.ipv6cp_options = "010a02000000000000aa";
  }
  // A message of the client of this slot; the answer, empty when there is none.
  std::optional<Dhcpv6Message> send(std::uint32_t slot, Dhcpv6Type type,
                                    std::initializer_list<Dhcpv6Ia> ias) {
    Dhcpv6Message message;
    message.type = type;
    message.source = wire::link_local(kPeersId);
    message.destination = wire::kAllDhcpv6Servers;
    message.client_identifier = client_id;
    if (type != Dhcpv6Type::kSolicit) message.server_identifier = server_id;
    for (const Dhcpv6Ia& ia : ias) REQUIRE(message.add(ia));
    packet.assign(2 + wire::kLongestDhcpv6, std::byte{});
    packet[1] = std::byte{0x57};
    packet.resize(2 + wire::write_dhcpv6(MutableBytes(packet).subspan(2), message));
    auto& seen = commands.clients.at(slot).advertisements;
    seen.clear();
    service->on_punted({SlotId(slot), memory.sessions()[slot].generation}, packet);
    loop.run();
    if (seen.empty()) return std::nullopt;
    answer = seen.back();
    const auto read = wire::parse_dhcpv6(answer);
    REQUIRE(read);
    server_id = to_octets(read->server_identifier);
    return *read;
  }
  // Solicit and Request for a prefix, as a router does.
  Ipv6Prefix ask(std::uint32_t slot) {
    const Dhcpv6Ia ia{.kind = Kind::kPrefixes, .iaid = 1};
    REQUIRE(send(slot, Dhcpv6Type::kSolicit, {ia}));
    const auto reply = send(slot, Dhcpv6Type::kRequest, {ia});
    REQUIRE(reply);
    REQUIRE(reply->ias()[0].lease_count == 1);
    return reply->ias()[0].leases()[0].prefix;
  }
  Dhcpv6Ia holding(const Ipv6Prefix& prefix) {
    Dhcpv6Ia ia{.kind = Kind::kPrefixes, .iaid = 1};
    REQUIRE(ia.add({prefix, 0, 0}));
    return ia;
  }
  [[nodiscard]] std::int64_t counted(model::Dhcpv6Result result) const {
    return statistics.dhcpv6[static_cast<std::size_t>(result)].get();
  }
  [[nodiscard]] std::int64_t ended(EndReason reason) const {
    return statistics.call_ends[static_cast<std::size_t>(reason)].get();
  }
  [[nodiscard]] bool is_consistent() const {
    auto audit = service->begin_audit();
    while (audit.turn()) {
    }
    return audit.view().findings_in_all == 0;
  }

  Octets client_id = octets("00030001021122334455");
  Octets server_id;
  Octets packet;
  Octets answer;
};

}  // namespace

TEST_CASE("delegation: a prefix is in force once the client has asked, and goes with the session",
          "[subscriber][dhcpv6]") {
  Homes world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  REQUIRE(world.only_session().state == "open");
  const std::uint32_t slot = world.only_session().slot.value;
  // The session has it, and no route is spent on a client that does not ask.
  CHECK(world.only_session().delegated_prefix == Ipv6Prefix::parse(kFirst));
  CHECK(world.pools->status()[0].delegated_in_use == 1);
  CHECK(world.keeper.routes.empty());
  CHECK(world.commands.networks_of.empty());

  CHECK(world.ask(slot) == Ipv6Prefix::parse(kFirst));
  const Networks in_force{{}, {*Ipv6Prefix::parse(kFirst)}};
  CHECK(world.commands.networks_of.at(slot) == in_force);
  CHECK(world.keeper.routes == Routes{kFirst});
  CHECK(world.only_session().networks == in_force);
  CHECK(world.counted(model::Dhcpv6Result::advertised) == 1);
  CHECK(world.counted(model::Dhcpv6Result::bound) == 1);

  // Renewed: nothing is sent to the dataplane.
  world.commands.networks_of.clear();
  REQUIRE(world.send(slot, Dhcpv6Type::kRenew, {world.holding(*Ipv6Prefix::parse(kFirst))}));
  CHECK(world.commands.networks_of.empty());
  // Released: out of force, and still the session's.
  REQUIRE(world.send(slot, Dhcpv6Type::kRelease, {world.holding(*Ipv6Prefix::parse(kFirst))}));
  CHECK(world.commands.networks_of.at(slot).empty());
  CHECK(world.keeper.routes.empty());
  CHECK(world.pools->status()[0].delegated_in_use == 1);
  CHECK(world.ask(slot) == Ipv6Prefix::parse(kFirst));
  CHECK(world.is_consistent());

  transport->receive(wire::pptp::CallClearRequest{.call_id = 1});
  world.loop.run();
  CHECK(sessions_of(*world.service).empty());
  CHECK(world.keeper.routes.empty());
  CHECK(world.pools->status()[0].delegated_in_use == 0);
  CHECK(world.pools->leased_networks() == 0);
}

TEST_CASE("delegation: sessions have different prefixes, and one too many has none",
          "[subscriber][dhcpv6]") {
  Homes world;
  std::set<Ipv6Prefix> prefixes;
  for (std::uint16_t call = 1; call <= 3; ++call)
    world.dial(*world.connect(Ipv4Address(0xcb007100U + call)), call);
  for (const auto& view : sessions_of(*world.service)) {
    CHECK(view.state == "open");
    if (view.delegated_prefix) {
      CHECK(world.ask(view.slot.value) == *view.delegated_prefix);
      prefixes.insert(*view.delegated_prefix);
      continue;
    }
    const auto reply =
        world.send(view.slot.value, Dhcpv6Type::kSolicit, {{.kind = Kind::kPrefixes, .iaid = 1}});
    REQUIRE(reply);
    CHECK(reply->ias()[0].status == wire::Dhcpv6Status::kNoPrefixAvail);
  }
  CHECK(prefixes.size() == 2);
  CHECK(world.counted(model::Dhcpv6Result::no_prefix) == 1);
  CHECK(world.keeper.routes.size() == 2);
}

TEST_CASE("delegation: a control process that comes back knows what is in force",
          "[subscriber][dhcpv6][resume]") {
  Homes world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  const std::uint32_t slot = world.only_session().slot.value;
  world.ask(slot);
  REQUIRE(world.journal->commit());
  world.make_service();
  world.commands.is_attached = false;
  world.commands.networks_of.clear();
  world.keeper.routes.clear();  // the supervisor waits to hear them again
  std::vector<contract::Grants::Connection> granted;
  granted.push_back(
      {UniqueFd(), ConnectionId(1), Ipv4Address(0xc6336401), Ipv4Address(0xcb007105), 4711});
  world.service->take_over(std::move(granted));
  CHECK(world.only_session().delegated_prefix == Ipv6Prefix::parse(kFirst));
  CHECK(world.keeper.routes == Routes{kFirst});  // before it is ready
  CHECK(world.pools->status()[0].delegated_in_use == 1);
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(world.commands.networks_of.at(slot) == Networks{{}, {*Ipv6Prefix::parse(kFirst)}});
  // The next subscriber gets another one.
  world.dial(*world.connect(Ipv4Address(0xcb007106)), 2);
  for (const auto& view : sessions_of(*world.service))
    if (view.slot.value != slot) CHECK(view.delegated_prefix != Ipv6Prefix::parse(kFirst));
  CHECK(world.is_consistent());
}

TEST_CASE("delegation: a link that negotiates anew has its prefix in force again",
          "[subscriber][dhcpv6]") {
  Homes world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  const std::uint32_t slot = world.only_session().slot.value;
  world.ask(slot);
  const Networks in_force = world.commands.networks_of.at(slot);
  // LCP of the client begins again (RFC 1661 §4.1, Opened and RCR).
  world.service->on_punted({SlotId(slot), world.memory.sessions()[slot].generation},
                           Bytes(frame(kLcp, kConfReq, 0x51, "01040578 0506aabbccdd")).subspan(2));
  world.loop.run();
  REQUIRE(world.only_session().state == "open");
  CHECK(world.only_session().networks == in_force);
  CHECK(world.commands.networks_of.at(slot) == in_force);
  CHECK(world.keeper.routes == Routes{kFirst});
}

TEST_CASE("delegation: a prefix of the account is one session's", "[subscriber][dhcpv6][redial]") {
  const auto policy = GENERATE(config::OnLimit::kRefuse, config::OnLimit::kReplace);
  Homes world([policy](config::Config& config) { config.aaa.on_limit = policy; });
  const auto home = Ipv6Prefix::parse("2001:db8:300::/48").value();
  world.change_account("User", [&](aaa::LocalUser& user) { user.delegated_prefix = home; });
  world.dial(*world.connect(), 1);
  const auto first = world.only_session().id;
  CHECK(world.ask(world.only_session().slot.value) == home);
  world.dial(*world.connect(Ipv4Address(0xcb007106)), 2);
  world.loop.advance(Seconds(3));
  world.loop.run();
  REQUIRE(sessions_of(*world.service).size() == 1);
  if (policy == config::OnLimit::kRefuse) {
    CHECK(world.only_session().id == first);
    CHECK(world.ended(EndReason::route_in_use) == 1);
    CHECK(world.keeper.routes == Routes{home.to_string()});
  } else {
    CHECK(world.only_session().id != first);
    CHECK(world.ended(EndReason::replaced) == 1);
    CHECK(world.keeper.routes.empty());  // the new client has not asked
    CHECK(world.ask(world.only_session().slot.value) == home);
    CHECK(world.keeper.routes == Routes{home.to_string()});
  }
}

TEST_CASE("delegation: a request of RFC 5176 finds the session by its prefix too",
          "[subscriber][dhcpv6][rfc5176-3]") {
  Homes world;
  auto& sessions = world.service->authorize_dynamically();
  world.dial(*world.connect(), 1);
  world.dial(*world.connect(Ipv4Address(0xcb007106)), 2);
  const auto views = sessions_of(*world.service);
  REQUIRE(views.size() == 2);
  for (const auto& view : views) {
    REQUIRE(view.delegated_prefix);
    const auto found =
        sessions.find({.delegated_prefix = view.delegated_prefix, .user = "User"}, 8);
    REQUIRE(found);
    REQUIRE(found->size() == 1);
    CHECK(found->front() == view.id);
  }
}

TEST_CASE("delegation: a prefix that holds an address of the server ends the call",
          "[subscriber][dhcpv6]") {
  Homes world;
  world.change_account("User", [](aaa::LocalUser& user) {
    user.delegated_prefix = Ipv6Prefix::parse("2001:db8:1::/48").value();  // of a pool
  });
  world.dial(*world.connect(), 1);
  world.loop.advance(Seconds(1));
  CHECK(sessions_of(*world.service).empty());
  CHECK(world.ended(EndReason::route_not_leasable) == 1);
  CHECK(world.pools->leased() == 0);
  CHECK(world.pools->status()[0].ipv6_in_use == 0);
}
