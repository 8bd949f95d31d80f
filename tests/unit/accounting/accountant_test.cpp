// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/accounting/accountant.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pns/radius/packet.hpp"
#include "pns/radius/values.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"
#include "tests/unit/accounting/memory_keeper.hpp"

using namespace pns;
using namespace pns::accounting;
namespace attribute = radius::attribute;

namespace {

constexpr std::uint64_t kNoon = 1'796'000'000;

// The value of an attribute in stored attributes.
std::optional<std::uint32_t> number_in(const Octets& attributes, radius::AttributeId id) {
  for (const Bytes value : radius::AttributeValues(attributes, id)) return radius::read_u32(value);
  return std::nullopt;
}

struct World {
  SessionFacts facts(std::uint64_t session) const {
    return {.session = SessionId(session),
            .user = "alice",
            .slot = SlotId(7),
            .peer = *Ipv4Address::parse("192.0.2.1"),
            .local = *Ipv4Address::parse("198.51.100.1"),
            .our_call_id = OurCallId(100),
            .peer_call_id = PeerCallId(200),
            .address = *Ipv4Address::parse("10.0.0.2")};
  }
  void answer_all() {
    keeper.finish_writes();
    while (!asked.empty()) {
      auto done = std::move(asked.back().second);
      sent.push_back(std::move(asked.back().first));
      asked.pop_back();
      done(true);
      keeper.finish_writes();
    }
  }
  [[nodiscard]] std::vector<Status> statuses() const {
    std::vector<Status> all;
    for (const Record& each : sent) all.push_back(each.status);
    return all;
  }

  test::MemoryKeeper keeper;
  test::FakeRandom random;
  std::uint64_t wall = kNoon;
  bool is_short = false;
  std::vector<std::pair<Record, std::move_only_function<void(bool)>>> asked;
  std::vector<Record> sent;  // in the order in which they were answered
  Delivery delivery{{},
                    keeper,
                    random,
                    [this](const Record& each, std::move_only_function<void(bool)> done) {
                      asked.emplace_back(each, std::move(done));
                    },
                    [] { return TimePoint{}; },
                    [](TimePoint) {}};
  Accountant accountant{keeper, delivery, [this] { return wall; }, [this] { return is_short; }};
};

using Statuses = std::vector<Status>;

}  // namespace

TEST_CASE("accountant: start, interim update and stop of a session", "[accounting]") {
  World world;
  world.accountant.opened(world.facts(1));
  world.answer_all();
  CHECK(world.keeper.sessions.size() == 1);
  world.wall += 60;
  world.accountant.interim(world.facts(1), {.seconds = 60, .input_octets = 1000});
  world.answer_all();
  world.wall += 30;
  world.accountant.ended(world.facts(1), {.seconds = 90, .input_octets = 5'000'000'000},
                         TerminateCause::kUserRequest);
  world.answer_all();

  CHECK(world.statuses() == Statuses{Status::kStart, Status::kInterimUpdate, Status::kStop});
  for (const Record& each : world.sent) {
    CHECK(number_in(each.attributes, attribute::kNasPort) == 7);
    CHECK(number_in(each.attributes, attribute::kFramedIpAddress) == 0x0a000002);
  }
  CHECK_FALSE(number_in(world.sent[0].attributes, attribute::kAcctSessionTime));
  CHECK(number_in(world.sent[1].attributes, attribute::kAcctInputOctets) == 1000);
  CHECK(world.sent[0].event_time == kNoon);
  CHECK(world.sent[1].event_time == kNoon + 60);
  CHECK(world.sent[2].event_time == kNoon + 90);
  const Octets& stop = world.sent[2].attributes;
  CHECK(number_in(stop, attribute::kAcctSessionTime) == 90);
  CHECK(number_in(stop, attribute::kAcctInputOctets) == 705'032'704);
  CHECK(number_in(stop, attribute::kAcctInputGigawords) == 1);
  CHECK(number_in(stop, attribute::kAcctTerminateCause) == 1);
  CHECK(world.keeper.records.empty());
  CHECK(world.keeper.sessions.empty());
  CHECK(world.accountant.open_sessions() == 0);
}

TEST_CASE("accountant: nothing is sent before it is kept", "[accounting]") {
  World world;
  world.accountant.opened(world.facts(1));
  CHECK(world.asked.empty());
  world.keeper.finish_writes();
  CHECK(world.asked.size() == 1);
  CHECK(world.keeper.records.size() == 1);
}

TEST_CASE("accountant: a session without a start has no stop", "[accounting]") {
  World world;
  world.accountant.ended(world.facts(1), {}, TerminateCause::kUserError);
  world.accountant.interim(world.facts(1), {});
  world.answer_all();
  CHECK(world.sent.empty());
}

TEST_CASE("accountant: a session that an earlier process left gets its stop, with its last report",
          "[accounting]") {
  std::map<SessionId, OpenSession> left;
  {
    World before;
    before.accountant.opened(before.facts(1));
    before.accountant.opened(before.facts(2));
    before.wall += 60;
    before.accountant.interim(before.facts(1), {.seconds = 60, .output_octets = 77});
    before.answer_all();
    left = before.keeper.sessions;
  }
  World world;
  world.wall = kNoon + 600;
  for (const auto& [session, state] : left) world.accountant.found_open(session, state);
  world.accountant.taken_over(world.facts(2), {.seconds = 600});
  world.accountant.recover();
  world.answer_all();
  REQUIRE(world.statuses() == Statuses{Status::kStop});
  CHECK(world.sent[0].event_time == kNoon + 60);
  CHECK(number_in(world.sent[0].attributes, attribute::kAcctOutputOctets) == 77);
  CHECK(number_in(world.sent[0].attributes, attribute::kAcctTerminateCause) == 11);
  CHECK(world.accountant.counts().recovered == 1);
  // The other lives, without a second Start, and ends as any other.
  world.accountant.ended(world.facts(2), {.seconds = 700}, TerminateCause::kLostCarrier);
  world.answer_all();
  CHECK(world.statuses() == Statuses{Status::kStop, Status::kStop});
}

TEST_CASE("accountant: a session that was taken over and has no accounting begins it",
          "[accounting]") {
  World world;
  world.accountant.taken_over(world.facts(3), {.seconds = 100});
  world.accountant.recover();
  world.answer_all();
  REQUIRE(world.statuses() == Statuses{Status::kStart});
  CHECK(world.sent[0].event_time == kNoon - 100);
}

TEST_CASE("accountant: interim updates are not made while the keeper is nearly full",
          "[accounting]") {
  World world;
  world.accountant.opened(world.facts(1));
  world.answer_all();
  world.is_short = true;
  world.accountant.interim(world.facts(1), {});
  world.accountant.ended(world.facts(1), {}, TerminateCause::kUserRequest);
  world.answer_all();
  CHECK(world.statuses() == Statuses{Status::kStart, Status::kStop});
  CHECK(world.accountant.counts().interims_dropped == 1);
}

TEST_CASE("accountant: a record that cannot be kept is sent and counted", "[accounting]") {
  World world;
  world.keeper.fails = true;
  world.accountant.opened(world.facts(1));
  world.answer_all();
  CHECK(world.statuses() == Statuses{Status::kStart});
  CHECK(world.accountant.counts().not_kept == 1);
}

TEST_CASE("accountant: on and off are of no session", "[accounting]") {
  World world;
  world.accountant.server_on();
  world.answer_all();
  world.accountant.server_off();
  world.answer_all();
  CHECK(world.statuses() == Statuses{Status::kAccountingOn, Status::kAccountingOff});
  CHECK(world.keeper.records.empty());
}

TEST_CASE("session facts: what every record says", "[accounting]") {
  World world;
  SessionFacts facts = world.facts(0x0123456789abcdef);
  facts.authentic = Authentic::kRadius;
  facts.ipv6_prefix = *Ipv6Prefix::parse("2001:db8:0:7::/64");
  facts.delegated_prefix = *Ipv6Prefix::parse("2001:db8:200::/56");
  facts.ipv6_address = *Ipv6Address::parse("2001:db8:77::7");
  facts.classes = {Octets(3, std::byte{1}), Octets(2, std::byte{2})};
  facts.networks.ipv4.push_back(*Ipv4Prefix::parse("10.9.0.0/24"));
  // In force; they have attributes of their own.
  facts.networks.ipv6 = {*Ipv6Prefix::parse("2001:db8:50::/48"), *facts.delegated_prefix,
                         *Ipv6Prefix::parse("2001:db8:77::7/128")};
  const Octets all = identity_attributes(facts);

  const auto text = [&all](radius::AttributeId id) {
    std::string found;
    for (const Bytes value : radius::AttributeValues(all, id))
      found += std::string(reinterpret_cast<const char*>(value.data()), value.size()) + ";";
    return found;
  };
  CHECK(text(attribute::kUserName) == "alice;");
  CHECK(text(attribute::kAcctSessionId) == "0123456789abcdef;");
  CHECK(text(attribute::kCallingStationId) == "192.0.2.1;");
  CHECK(text(attribute::kCalledStationId) == "198.51.100.1;");
  CHECK(text(attribute::kTunnelClientEndpoint) == "192.0.2.1;");
  CHECK(text(attribute::kAcctTunnelConnection) == "100-200;");
  CHECK(text(attribute::kFramedRoute) == "10.9.0.0/24 0.0.0.0 1;");
  CHECK(text(attribute::kFramedIpv6Route) == "2001:db8:50::/48 :: 1;");
  CHECK(test::hex(*radius::AttributeValues(all, attribute::kDelegatedIpv6Prefix).begin()) ==
        "003820010db8020000");
  CHECK(test::hex(*radius::AttributeValues(all, attribute::kFramedIpv6Address).begin()) ==
        "20010db8007700000000000000000007");
  CHECK(text(attribute::kClass) == "\1\1\1;\2\2;");
  CHECK(number_in(all, attribute::kAcctAuthentic) == 1);
  CHECK(number_in(all, attribute::kFramedIpAddress) == 0x0a000002);
  CHECK(number_in(all, attribute::kNasPort) == 7);
  CHECK(radius::AttributeValues(all, attribute::kFramedIpv6Prefix).begin() !=
        std::default_sentinel);
}

TEST_CASE("session facts: more networks than a packet holds leave room for the rest",
          "[accounting]") {
  World world;
  SessionFacts facts = world.facts(1);
  for (std::uint32_t n = 0; n < 1000; ++n)
    facts.networks.ipv4.push_back({Ipv4Address(0x0b000000 + (n << 8)), 24});
  const Octets all = identity_attributes(facts);
  CHECK(all.size() > 2'000);
  CHECK(all.size() <= radius::kMaximumPacketSize - radius::kHeaderSize - 1'000);
}

TEST_CASE("accountant: each record of a session is for the servers of its realm",
          "[accounting][realms]") {
  const auto facts_in_realm = [](const World& world, std::uint64_t session) {
    SessionFacts facts = world.facts(session);
    facts.realm = "example.com";
    return facts;
  };
  std::map<SessionId, OpenSession> left;
  {
    World world;
    world.accountant.opened(facts_in_realm(world, 1));
    world.accountant.interim(facts_in_realm(world, 1), {});
    world.answer_all();
    left = world.keeper.sessions;
    world.accountant.ended(facts_in_realm(world, 1), {}, TerminateCause::kUserRequest);
    world.answer_all();
    REQUIRE(world.sent.size() >= 2);
    for (const Record& each : world.sent) CHECK(each.realm == "example.com");
    world.accountant.server_off();
    world.answer_all();
    CHECK(world.sent.back().realm.empty());
  }
  // The next process makes the Stop of a session that died with the host.
  World world;
  for (const auto& [id, state] : left) world.accountant.found_open(id, state);
  world.accountant.recover();
  world.answer_all();
  REQUIRE(world.sent.size() == 1);
  CHECK(world.sent[0].status == Status::kStop);
  CHECK(world.sent[0].realm == "example.com");
}
