// SPDX-License-Identifier: BSD-3-Clause
//
// Sessions that dynamic authorization (RFC 5176) finds, ends and changes.
#include "controlplane/subscriber/dynamic_sessions.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "pns/radius/values.hpp"
#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;
using subscriber::DynamicSessions;
using Wanted = model::SessionIdentification;

namespace {

// A world whose sessions can be changed, with two calls of User from one address and one of Other
// from another.
struct World : FakeWorld {
  World()
      : FakeWorld([](config::Config& changed) {
          changed.pools["default"].ipv6_prefixes = {*Ipv6Prefix::parse("2001:db8:1::/48")};
        }) {
    sessions = &service->authorize_dynamically();
    commands.next_client.ipv6cp_options = "010a02000000000000aa";
    near = connect();
    dial(*near, 1);
    dial(*near, 2);
    commands.next_client.user = "Other";
    far = connect(kFar);
    dial(*far, 3);
    views = sessions_of(*service);
    REQUIRE(views.size() == 3);
  }
  // Slots of those that match; empty optional: too many.
  [[nodiscard]] std::optional<std::size_t> count(const Wanted& wanted, std::size_t most = 8) const {
    const auto found = sessions->find(wanted, most);
    return found ? std::optional(found->size()) : std::nullopt;
  }
  [[nodiscard]] const subscriber::SessionView& other() const {
    for (const auto& view : views)
      if (view.user == "Other") return view;
    FAIL("there is no session of Other");
    std::abort();
  }
  // One alone matches, and it is this one.
  [[nodiscard]] bool is_other(const Wanted& wanted) const {
    const auto found = sessions->find(wanted, 8);
    return found && found->size() == 1 && found->front() == other().id;
  }

  static constexpr Ipv4Address kNear{0xcb007105};
  static constexpr Ipv4Address kFar{0xcb007199};
  static constexpr Ipv4Address kOurs{0xc6336401};
  DynamicSessions* sessions = nullptr;
  std::shared_ptr<FakeTransport> near;
  std::shared_ptr<FakeTransport> far;
  std::vector<subscriber::SessionView> views;
};

// Listens for interims and stops with the Class of the account.
class Accounting final : public subscriber::SessionListener {
 public:
  void on_counters_due(const subscriber::Session& session) override { note("interim", session); }
  void on_ended(const subscriber::Session& session, const subscriber::SessionEnd& end) override {
    note(std::string(name_of(end.reason)), session);
  }
  std::vector<std::string> records;

 private:
  void note(const std::string& what, const subscriber::Session& session) {
    std::string line = what;
    for (const auto& value : session.account().origin().classes)
      line += " " + std::string(reinterpret_cast<const char*>(value.data()), value.size());
    records.push_back(line);
  }
};

DynamicSessions::Classes classes(std::initializer_list<std::string_view> texts) {
  DynamicSessions::Classes out;
  for (const auto text : texts) {
    const Bytes octets = as_octets(text);
    out.emplace_back(octets.begin(), octets.end());
  }
  return out;
}

model::ServiceChange of_classes(std::initializer_list<std::string_view> texts) {
  model::ServiceChange change;
  change.classes = classes(texts);
  return change;
}

}  // namespace

TEST_CASE("dynamic sessions: each identification finds its session, alone",
          "[subscriber][rfc5176-3]") {
  World world;
  const auto& other = world.other();
  CHECK(world.is_other({.session = other.id}));
  CHECK(world.is_other({.slot = other.slot}));
  CHECK(world.is_other({.address = other.address}));
  CHECK(world.is_other({.user = "Other"}));
  CHECK(world.is_other({.port_id = Wanted::PortId{World::kFar, PeerCallId(3)}}));
  CHECK(world.is_other({.peer = World::kFar}));
  REQUIRE(other.ipv6_prefix);
  CHECK(world.is_other({.ipv6_prefix = other.ipv6_prefix}));
  Ipv6Address host = other.ipv6_prefix->address;
  host.low = 0x1234;
  CHECK(world.is_other({.ipv6_address = host}));
  CHECK(world.count({.user = "User"}) == 2U);
  CHECK(world.count({.peer = World::kNear}) == 2U);
  CHECK(world.count({.local = World::kOurs}) == 3U);
}

TEST_CASE("dynamic sessions: all that is given must match", "[subscriber][rfc5176-3]") {
  World world;
  const auto& other = world.other();
  Wanted all{.session = other.id,
             .slot = other.slot,
             .address = other.address,
             .ipv6_prefix = other.ipv6_prefix,
             .user = "Other",
             .port_id = Wanted::PortId{World::kFar, PeerCallId(3)},
             .peer = World::kFar,
             .local = World::kOurs};
  CHECK(world.is_other(all));
  const auto none = [&](auto change) {
    Wanted wanted = all;
    change(wanted);
    return world.count(wanted) == 0U;
  };
  CHECK(none([&](Wanted& w) { w.session = SessionId(other.id.value + 1); }));
  CHECK(none([&](Wanted& w) { w.slot = SlotId(other.slot.value + 1); }));
  CHECK(none([&](Wanted& w) { w.slot = SlotId(0xffffffff); }));
  CHECK(none([&](Wanted& w) { w.address = Ipv4Address(other.address.value + 1); }));
  CHECK(none([&](Wanted& w) { w.ipv6_prefix->length = 63; }));
  CHECK(none([&](Wanted& w) { w.ipv6_address = *Ipv6Address::parse("2001:db8:2::1"); }));
  CHECK(none([&](Wanted& w) { w.delegated_prefix = Ipv6Prefix::parse("2001:db8:300::/56"); }));
  CHECK(none([&](Wanted& w) { w.user = "User"; }));
  CHECK(none([&](Wanted& w) { w.port_id->peer_call_id = PeerCallId(4); }));
  CHECK(none([&](Wanted& w) { w.peer = World::kNear; }));
  CHECK(none([&](Wanted& w) { w.local = World::kNear; }));
  CHECK(none([&](Wanted& w) { w.interface_id = 0x1234; }));
  CHECK(none([&](Wanted& w) { w.names_none = true; }));
}

TEST_CASE("dynamic sessions: the interface identifier narrows", "[subscriber][rfc5176-3]") {
  World world;
  const Octets& octets = world.commands.clients.at(world.other().slot.value).interface_id;
  const auto id = radius::read_interface_id(octets);
  REQUIRE(id);
  CHECK(world.is_other({.user = "Other", .interface_id = *id}));
  CHECK(world.count({.user = "Other", .interface_id = *id + 1}) == 0U);
}

TEST_CASE("dynamic sessions: more than may be selected are none", "[subscriber][rfc5176-3]") {
  World world;
  CHECK(world.count({.user = "User"}, 2) == 2U);
  CHECK(world.count({.user = "User"}, 1) == std::nullopt);
}

TEST_CASE("dynamic sessions: a disconnected call ends politely, and is told when it is over",
          "[subscriber][rfc5176-2.1]") {
  World world;
  Accounting accounting;
  world.service->add_listener(accounting);
  const auto& other = world.other();
  std::optional<bool> done;
  world.sessions->disconnect(other.id, classes({"bye"}), [&](bool is_done) {
    done = is_done;
    CHECK(world.journal->has(other.slot) == false);
  });
  CHECK_FALSE(done);
  world.loop.advance(Seconds(2));
  CHECK(done == true);
  CHECK(accounting.records == std::vector<std::string>{"radius_disconnected bye"});
  CHECK(sessions_of(*world.service).size() == 2);
  CHECK(world.service->last_ends().front().reason == "radius_disconnected");
  CHECK(world.count({.user = "Other"}) == 0U);
  CHECK(world.count({.ipv6_prefix = other.ipv6_prefix}) == 0U);
  CHECK_FALSE(world.far->closed);
}

TEST_CASE("dynamic sessions: two that disconnect one call are both told, a late one at once",
          "[subscriber][rfc5176-2.1]") {
  World world;
  const SessionId id = world.other().id;
  int done = 0;
  for (int i = 0; i < 2; ++i) world.sessions->disconnect(id, {}, [&](bool ok) { done += ok; });
  world.loop.advance(Seconds(2));
  CHECK(done == 2);
  world.sessions->disconnect(id, {}, [&](bool ok) { done += ok; });
  CHECK(done == 3);
}

TEST_CASE("dynamic sessions: a call whose client is silent is over in the end",
          "[subscriber][rfc5176-2.1]") {
  World world;
  const auto& other = world.other();
  world.commands.silent_slots.insert(other.slot.value);
  bool done = false;
  world.sessions->disconnect(other.id, {}, [&](bool ok) { done = ok; });
  world.loop.advance(Seconds(1));
  CHECK_FALSE(done);
  world.loop.advance(Seconds(30));
  CHECK(done);
}

TEST_CASE("dynamic sessions: a changed Class is reported, stored, and kept by a successor",
          "[subscriber][rfc5176-2.2]") {
  World world;
  Accounting accounting;
  world.service->add_listener(accounting);
  const auto& other = world.other();
  const model::ServiceChange change = of_classes({"gold", "plus"});
  CHECK_FALSE(world.sessions->objection(other.id, change));
  std::optional<bool> done;
  world.sessions->apply(other.id, change, [&](bool ok) { done = ok; });
  CHECK(accounting.records == std::vector<std::string>{"interim gold plus"});
  CHECK_FALSE(done);  // not before it is stored
  world.loop.run();
  CHECK(done == true);
  bool found = false;
  for (const auto& stored : world.journal->load(0).sessions)
    if (stored.id == other.id) {
      found = true;
      CHECK(stored.origin.classes == *change.classes);
      CHECK_FALSE(stored.origin.is_radius);
    }
  CHECK(found);
}

TEST_CASE("dynamic sessions: a call that is over cannot be changed", "[subscriber][rfc5176-2.2]") {
  World world;
  std::optional<bool> done;
  world.sessions->apply(SessionId(1), of_classes({"gold"}), [&](bool ok) { done = ok; });
  CHECK(done == false);
}

TEST_CASE("dynamic sessions: a prefix follows its session over a take-over",
          "[subscriber][rfc5176-3]") {
  World world;
  const auto& other = world.other();
  CHECK(world.is_other({.ipv6_prefix = other.ipv6_prefix}));
  world.sessions->disconnect(other.id, {}, [](bool) {});
  world.loop.advance(Seconds(2));
  world.commands.next_client.user = "1234";
  world.dial(*world.far, 4);
  // The pool gives the prefix to somebody else, or to nobody.
  for (const auto& view : sessions_of(*world.service))
    if (view.ipv6_prefix) {
      const auto found = world.sessions->find({.ipv6_prefix = view.ipv6_prefix}, 8);
      REQUIRE(found);
      CHECK(*found == std::vector<SessionId>{view.id});
    }
}
