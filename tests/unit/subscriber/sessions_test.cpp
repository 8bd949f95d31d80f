// SPDX-License-Identifier: BSD-3-Clause
//
// Sessions without a socket and without real time; service_test.cpp has both.
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/unit/subscriber/fake_world.hpp"

using namespace pns;
using namespace pns::test;
using subscriber::Session;

namespace {

using World = FakeWorld;

// Accounting as RFC 2866 wants it, written as a listener alone.
class Accounting final : public subscriber::SessionListener {
 public:
  void on_opened(const Session& session) override {
    records.push_back("start " + session.account().user() + " " +
                      session.account().lease()->address.to_string());
  }
  void on_counters_due(const Session& session) override {
    records.push_back("interim " + std::to_string(octets_of(session)));
  }
  void on_ended(const Session& session, const subscriber::SessionEnd& end) override {
    if (session.link().opened())
      records.push_back("stop " + std::string(name_of(end.reason)) + " " +
                        std::to_string(octets_of(session)) + " " +
                        std::to_string(end.duration.count()));
  }
  std::vector<std::string> records;

 private:
  static std::uint64_t octets_of(const Session& session) {
    return session.dataplane().record().upstream.bytes.get();
  }
};

}  // namespace

TEST_CASE("sessions: an accounting listener hears start, interim and stop with counters",
          "[subscriber][events]") {
  World world;
  Accounting accounting;
  world.service->add_listener(accounting);
  world.service->set_counter_interval(Seconds(600));
  const auto transport = world.connect();
  world.dial(*transport, 1);
  CHECK(accounting.records == std::vector<std::string>{"start User 10.64.0.2"});
  auto& record = world.memory.sessions()[world.only_session().slot.value];
  record.upstream.bytes.add(1000);
  // The first report comes within one interval, the next one an interval later.
  world.live(*transport, Seconds(600));
  REQUIRE(accounting.records.size() == 2);
  CHECK(accounting.records[1] == "interim 1000");
  record.upstream.bytes.add(500);
  world.live(*transport, Seconds(600));
  REQUIRE(accounting.records.size() == 3);
  CHECK(accounting.records[2] == "interim 1500");
  transport->receive(wire::pptp::CallClearRequest{.call_id = 1});
  world.loop.run();
  REQUIRE(accounting.records.size() == 4);
  CHECK(accounting.records[3] == "stop peer_cleared_call 1500 1200");
  world.live(*transport, Seconds(3600));
  CHECK(accounting.records.size() == 4);
  CHECK(sessions_of(*world.service).empty());
}

TEST_CASE("sessions: a peer that falls silent is given up after five LCP echoes, 150 s later",
          "[subscriber][events]") {
  World world([](config::Config& config) {
    config.ppp.lcp_echo = {.interval = Seconds(30), .failures = 5};
  });
  const auto transport = world.connect();
  world.dial(*transport, 1);
  world.live(*transport, Seconds(40));
  REQUIRE(world.only_session().state == "open");
  world.commands.silent = true;
  world.live(*transport, Seconds(140));
  CHECK(world.only_session().state == "open");
  world.live(*transport, Seconds(60));
  CHECK(sessions_of(*world.service).empty());
  REQUIRE(world.service->last_ends().size() == 1);
  CHECK(world.service->last_ends().front().reason == "lcp_echo_timeout");
  CHECK_FALSE(transport->closed);
}

TEST_CASE("sessions: they are found by id, user, inner address and peer", "[subscriber][index]") {
  using Kind = subscriber::Selector::Kind;
  World world;
  const Ipv4Address far(0xcb007199);
  world.dial(*world.connect(), 1);
  world.commands.next_client.user = "1234";
  world.dial(*world.connect(far), 2);
  auto& service = *world.service;
  REQUIRE(sessions_of(service).size() == 2);
  const auto numbered = sessions_of(service, {.user = "1234"});
  REQUIRE(numbered.size() == 1);
  CHECK(numbered.front().peer == far);
  const SessionId id = numbered.front().id;
  CHECK(sessions_of(service, {.kind = Kind::kId, .id = id}).size() == 1);
  CHECK(
      sessions_of(service, {.kind = Kind::kAddress, .address = numbered.front().address}).size() ==
      1);
  CHECK(sessions_of(service, {.kind = Kind::kPeer, .address = far}).front().id == id);
  CHECK(sessions_of(service, {.kind = Kind::kId, .id = SessionId(id.value + 1)}).empty());
  CHECK(audit_of(service).findings.empty());
  // A user named as a number is a user, and no slot and no id.
  CHECK(clear_all(service, {.user = "1"}) == 0);
  CHECK(clear_all(service, {.user = "1234"}) == 1);
  world.loop.advance(Seconds(10));
  REQUIRE(sessions_of(service).size() == 1);
  CHECK(sessions_of(service).front().user == "User");
  CHECK(
      sessions_of(service, {.kind = Kind::kAddress, .address = numbered.front().address}).empty());
}

TEST_CASE("sessions: the name that a peer claims selects nothing until it is proved",
          "[subscriber][index]") {
  World world;
  world.commands.next_client.user = "Other";
  world.commands.next_client.password = "wrong";
  world.commands.next_client.retry_passwords = {"wrong too", "and again", "no"};
  const auto transport = world.connect();
  std::vector<std::string> users;
  class Names final : public subscriber::SessionListener {
   public:
    explicit Names(std::vector<std::string>& out) : out_(out) {}
    void on_ended(const Session& session, const subscriber::SessionEnd&) override {
      out_.push_back(session.account().user() + "/" + session.account().claimed_user());
    }

   private:
    std::vector<std::string>& out_;
  } names(users);
  world.service->add_listener(names);
  world.dial(*transport, 1);
  CHECK(sessions_of(*world.service, {.user = "Other"}).empty());
  CHECK(clear_all(*world.service, {.user = "Other"}) == 0);
  world.loop.advance(Seconds(60));
  CHECK(users == std::vector<std::string>{"/Other"});
  CHECK(world.statistics.auth_denied.get() >= 1);
}

TEST_CASE("sessions: reports that a stall has missed are not made up for, and 0 ends them",
          "[subscriber][events]") {
  World world;
  Accounting accounting;
  world.service->add_listener(accounting);
  world.service->set_counter_interval(Seconds(60));
  const auto transport = world.connect();
  world.dial(*transport, 1);
  world.loop.jump(Seconds(600));  // nothing ran meanwhile
  transport->receive(wire::pptp::EchoRequest{.identifier = 1});
  world.loop.run();
  CHECK(accounting.records.size() == 2);  // start, and one report
  world.service->set_counter_interval(Seconds(0));
  world.live(*transport, Seconds(300));
  CHECK(accounting.records.size() == 2);
}

TEST_CASE("sessions: a removal goes to the dataplane after the record of its session is erased",
          "[subscriber][decision-0008]") {
  World world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  world.dial(*transport, 2);
  bool stored_at_removal = false;
  world.commands.on_remove = [&] {
    stored_at_removal |= world.journal->load(0).sessions.size() != 1;
  };
  transport->receive(wire::pptp::CallClearRequest{.call_id = 1});
  world.loop.run();
  CHECK(sessions_of(*world.service).size() == 1);
  CHECK_FALSE(stored_at_removal);
}

TEST_CASE("sessions: after a take-over only the offers that the earlier process left are repeated",
          "[subscriber][resume]") {
  World world({}, false);
  // The earlier process had read a request and not answered it.
  FakeClock clock;
  auto machine = established_connection(clock);
  (void)machine.on_message(
      wire::pptp::OutgoingCallRequest{
          .call_id = 3, .maximum_bps = 100'000'000, .packet_recv_window_size = 64},
      clock.now());
  const Ipv4Address local(0xc6336401);
  const Ipv4Address peer(0xcb007105);
  world.journal->put(resume::StoredConnection{.id = ConnectionId(1),
                                              .local = local,
                                              .peer = peer,
                                              .peer_port = 4711,
                                              .machine = machine.snapshot().value()});
  REQUIRE(world.journal->commit());
  std::vector<contract::Grants::Connection> granted;
  granted.push_back({UniqueFd(), ConnectionId(1), local, peer, 4711});
  world.service->take_over(std::move(granted));
  const auto transport = world.transports.back();
  // This process reads another one before it has a dataplane.
  world.dial(*transport, 4);
  CHECK(sessions_of(*world.service).empty());
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(sessions_of(*world.service).size() == 2);
  const auto replies = std::ranges::count_if(transport->sent, [](const auto& message) {
    const auto* reply = std::get_if<wire::pptp::OutgoingCallReply>(&message);
    return reply != nullptr && reply->result_code == 1;
  });
  CHECK(replies == 2);
  CHECK(world.statistics.call_ends[static_cast<std::size_t>(EndReason::peer_call_id_busy)].get() ==
        0);
}

TEST_CASE("sessions: ids are never given twice, and outlive nobody", "[subscriber][session-id]") {
  World world;
  const auto transport = world.connect();
  std::set<std::uint64_t> seen;
  for (std::uint16_t i = 0; i < 50; ++i) {
    world.dial(*transport, i);
    CHECK(seen.insert(world.only_session().id.value).second);
    transport->receive(wire::pptp::CallClearRequest{.call_id = i});
    world.loop.run();
    REQUIRE(sessions_of(*world.service).empty());
  }
}

// ---- limits per source ----------------------------------------------------------------------

namespace {

constexpr Ipv4Address kFlooder(0xcb007155);

template <class M>
std::vector<M> all_of(const FakeTransport& transport) {
  std::vector<M> out;
  for (const auto& message : transport.sent)
    if (const auto* found = std::get_if<M>(&message)) out.push_back(*found);
  return out;
}

std::int64_t closed(const World& world, EndReason reason) {
  return world.statistics.connection_ends[static_cast<std::size_t>(reason)].get();
}

std::int64_t ended(const World& world, EndReason reason) {
  return world.statistics.call_ends[static_cast<std::size_t>(reason)].get();
}

}  // namespace

TEST_CASE("sessions: connections of one source over its limit are closed at accept",
          "[subscriber][limits][conformance-14]") {
  World world([](config::Config& config) { config.pptp.limits.connections = 3; });
  for (int i = 0; i < 3; ++i) (void)world.connect(kFlooder);
  world.service->accept(UniqueFd(), Ipv4Address(0xc6336401), kFlooder, 4711);
  CHECK(world.transports.size() == 3);
  CHECK(closed(world, EndReason::source_connections) == 1);
  world.dial(*world.connect(), 1);
  CHECK(world.only_session().state == "open");
}

TEST_CASE("sessions: a denied source gets no transport", "[subscriber][limits]") {
  World world([](config::Config& config) { config.pptp.limits.deny = {Ipv4Prefix{kFlooder, 32}}; });
  world.service->accept(UniqueFd(), Ipv4Address(0xc6336401), kFlooder, 4711);
  CHECK(world.transports.empty());
  CHECK(closed(world, EndReason::source_denied) == 1);
}

TEST_CASE("sessions: a connection without a call is stopped after its time, with a call it stays",
          "[subscriber][limits][conformance-14]") {
  World world;
  const auto idle = world.connect(kFlooder);
  const auto busy = world.connect();
  world.dial(*busy, 1);
  world.loop.advance(Seconds(59));
  CHECK(all_of<wire::pptp::StopControlConnectionRequest>(*idle).empty());
  // Echoes do not make it busy.
  idle->receive(wire::pptp::EchoRequest{.identifier = 1});
  world.loop.advance(Seconds(1));
  CHECK(all_of<wire::pptp::StopControlConnectionRequest>(*idle).size() == 1);
  idle->receive(wire::pptp::StopControlConnectionReply{.result_code = 1});
  world.loop.run();
  CHECK(idle->closed);
  CHECK(closed(world, EndReason::connection_idle) == 1);
  // The time of a connection begins again when its last call has ended.
  world.live(*busy, Seconds(60));
  busy->receive(wire::pptp::CallClearRequest{.call_id = 1});
  world.loop.advance(Seconds(50));
  CHECK_FALSE(busy->closed);
  world.dial(*busy, 2);
  world.live(*busy, Seconds(60));
  CHECK(all_of<wire::pptp::StopControlConnectionRequest>(*busy).empty());
  CHECK(world.only_session().state == "open");
}

TEST_CASE("sessions: an exempt source keeps its connection without a call",
          "[subscriber][limits]") {
  World world([](config::Config& config) {
    config.pptp.limits.exempt = {Ipv4Prefix{kFlooder, 32}};
  });
  const auto pac = world.connect(kFlooder);
  world.live(*pac, Seconds(600));
  CHECK_FALSE(pac->closed);
  CHECK(closed(world, EndReason::connection_idle) == 0);
}

TEST_CASE("sessions: idle connections of a flood make way for others", "[subscriber][limits]") {
  World world([](config::Config& config) {
    config.pptp.max_connections = 10;
    config.pptp.limits.connections = 10;
  });
  const auto established = world.connect();
  world.dial(*established, 1);
  for (int i = 0; i < 20; ++i) (void)world.connect(kFlooder);
  CHECK(connections_of(*world.service).size() == 9);
  CHECK(world.transports[1]->closed);  // the oldest of the flood
  CHECK(closed(world, EndReason::connection_shed) == 12);
  CHECK(closed(world, EndReason::connection_limit) == 0);
  world.dial(*world.connect(Ipv4Address(0xcb007177)), 1);
  CHECK(sessions_of(*world.service).size() == 2);
  CHECK_FALSE(established->closed);
}

TEST_CASE("sessions: requests over the rate of their source are Busy, over all its connections",
          "[subscriber][limits][conformance-24]") {
  World world(
      [](config::Config& config) { config.pptp.limits.new_calls = {.rate = 1, .burst = 2}; });
  const auto flooder = world.connect(kFlooder);
  for (std::uint16_t i = 1; i <= 3; ++i) world.dial(*flooder, i);
  const auto replies = all_of<wire::pptp::OutgoingCallReply>(*flooder);
  REQUIRE(replies.size() == 3);
  CHECK(replies[2].result_code == static_cast<std::uint8_t>(wire::pptp::OutgoingCallResult::kBusy));
  CHECK(ended(world, EndReason::call_rate) == 1);
  const auto again = world.connect(kFlooder);
  world.dial(*again, 1);
  CHECK(ended(world, EndReason::call_rate) == 2);
  world.dial(*world.connect(), 1);
  CHECK(sessions_of(*world.service).size() == 3);
  world.loop.advance(Seconds(1));
  world.dial(*again, 9);
  CHECK(sessions_of(*world.service).size() == 4);
}

TEST_CASE("sessions: a link that is never open ends at its deadline, however LCP goes on",
          "[subscriber][limits][conformance-48]") {
  World world;
  // LCP opens; the peer answers no challenge and asks for LCP again instead.
  world.commands.lose = [](Bytes frame) {
    return frame.size() > 4 && frame[2] == std::byte{0xc2} && frame[3] == std::byte{0x23};
  };
  const auto transport = world.connect();
  world.dial(*transport, 1);
  const subscriber::SessionView session = world.only_session();
  const std::array<std::uint8_t, 12> again{0xc0, 0x21, 1, 0x77, 0, 10, 5, 6, 1, 2, 3, 4};
  int asked = 0;
  while (!sessions_of(*world.service).empty() && asked < 30) {
    ++asked;
    const auto& record = world.memory.sessions()[session.slot.value];
    world.service->on_punted({session.slot, record.generation}, std::as_bytes(std::span(again)));
    world.loop.advance(Seconds(11));
  }
  CHECK(asked == 6);
  CHECK(ended(world, EndReason::set_up_timeout) == 1);
  CHECK(all_of<wire::pptp::CallDisconnectNotify>(*transport).size() == 1);
  CHECK(world.statistics.admission_in_flight.get() == 0);
}

TEST_CASE("sessions: an open link has no deadline, and 0 is none", "[subscriber][limits]") {
  World world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  world.live(*transport, Seconds(600));
  CHECK(world.only_session().state == "open");
}

TEST_CASE("sessions: a Call ID that carried GRE rests for a minute, also for a successor",
          "[subscriber][limits][conformance-24]") {
  World world;
  const auto transport = world.connect();
  world.dial(*transport, 1);
  const auto used = world.only_session().our_call_id;
  world.commands.silent = true;
  world.dial(*transport, 2);
  for (const std::uint16_t call : std::initializer_list<std::uint16_t>{1, 2})
    transport->receive(wire::pptp::CallClearRequest{.call_id = call});
  world.loop.run();
  const auto resting = world.journal->load(monotonic_ns(world.loop.now())).resting;
  REQUIRE(resting.size() == 1);
  CHECK(resting.front().id == used);
}

TEST_CASE("sessions: a stored quarantine of another clock ends like one of this clock",
          "[subscriber][limits]") {
  World world({}, false);
  const Ipv4Address local(0xc6336401);
  const std::uint64_t far = monotonic_ns(world.loop.now() + Seconds(1'000'000));
  for (std::uint32_t id = 1; id <= 0xffff; ++id)
    world.journal->put(
        resume::RestingCallId{local, OurCallId(static_cast<std::uint16_t>(id)), far});
  REQUIRE(world.journal->commit());
  world.service->take_over({});
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  const auto transport = world.connect();
  world.dial(*transport, 1);
  CHECK(ended(world, EndReason::no_call_id) == 1);
  world.loop.advance(Seconds(10));  // few are free: the short quarantine
  world.dial(*transport, 2);
  CHECK(world.only_session().state == "open");
}

TEST_CASE("sessions: connections that came in one second are not asked for an echo in one second",
          "[subscriber][sessions]") {
  FakeWorld world([](config::Config& config) {
    config.pptp.limits.exempt = {Ipv4Prefix::parse("0.0.0.0/0").value()};
  });
  constexpr std::uint32_t kConnections = 600;
  for (std::uint32_t i = 0; i < kConnections; ++i) (void)world.connect(Ipv4Address(0xcb007100 + i));
  const auto echoes = [&world] {
    std::size_t count = 0;
    for (const auto& transport : world.transports)
      count += static_cast<std::size_t>(
          std::ranges::count_if(transport->sent, [](const wire::pptp::Message& message) {
            return std::holds_alternative<wire::pptp::EchoRequest>(message);
          }));
    return count;
  };
  std::size_t before = 0;
  std::size_t most = 0;
  for (int second = 1; second <= 60; ++second) {
    world.loop.advance(Seconds(1));
    const std::size_t now = echoes();
    most = std::max(most, now - before);
    before = now;
    if (second < 45) CHECK(now == 0);
  }
  CHECK(before == kConnections);
  CHECK(most < kConnections / 8);  // 40 on average
}

namespace {

// The session that was opened last, which listeners are given as const.
class LastOpened final : public subscriber::SessionListener {
 public:
  void on_opened(const Session& session) override { opened = session.weak_from_this(); }
  // As whoever changes its service has it.
  [[nodiscard]] std::shared_ptr<Session> session() const {
    return std::const_pointer_cast<Session>(opened.lock());
  }
  std::weak_ptr<const Session> opened;
};

void give_terms(World& world, const model::ServiceTerms& terms) {
  auto users = accounts();
  for (auto& user : users) user.terms = terms;
  world.authenticator.emplace(std::move(users), world.random);
}

}  // namespace

TEST_CASE("sessions: rates and filters of an account are with the dataplane before data flows",
          "[subscriber][rates]") {
  World world;
  world.memory.header().filters[5] = contract::name_mark("web");
  give_terms(world, {.rates = {.upstream = {1'000'000, 0}, .downstream = {2'000'000, 9'000}},
                     .filters = {.upstream = "web"}});
  world.dial(*world.connect(), 1);
  const auto slot = world.only_session().slot.value;
  REQUIRE(world.commands.services[slot].size() == 1);
  CHECK(world.commands.services[slot].front() ==
        contract::SessionService{
            .rates = {.upstream = {1'000'000, 31'251}, .downstream = {2'000'000, 9'000}},
            .filters = {.upstream = 5}});
  CHECK(world.only_session().state == "open");
}

TEST_CASE("sessions: an account without rates and filters costs no command",
          "[subscriber][rates]") {
  World world;
  world.dial(*world.connect(), 1);
  CHECK(world.only_session().state == "open");
  CHECK(world.commands.services.empty());
}

TEST_CASE("sessions: a filter that the dataplane does not have refuses the login",
          "[subscriber][rates]") {
  World world;
  give_terms(world, {.filters = {.downstream = "web"}});
  world.dial(*world.connect(), 1);
  world.loop.advance(Seconds(10));
  CHECK(sessions_of(*world.service).empty());
  REQUIRE(world.service->last_ends().size() == 1);
  CHECK(world.service->last_ends().front().reason == "auth_filter_unknown");
}

TEST_CASE("sessions: a change of rates and filters holds when it is answered",
          "[subscriber][rates]") {
  World world;
  LastOpened last;
  world.service->add_listener(last);
  world.memory.header().filters[5] = contract::name_mark("web");
  world.commands.keeps_keys = true;  // else the client would log in anew, which ends the change
  world.dial(*world.connect(), 1);
  const auto session = last.session();
  REQUIRE(session);
  const auto& record = world.memory.sessions()[session->call().slot.value];
  std::optional<bool> answer;
  const auto change = [&](const model::ServiceChange& wanted) {
    answer.reset();
    session->link().change_service(wanted, [&](bool held) { answer = held; });
    world.loop.run();
    REQUIRE(answer);
    return *answer;
  };
  CHECK(change({.upstream_rate = model::RateLimit{3'000'000, 0}}));
  CHECK(record.upstream_rate == contract::OctetRate(3'000'000, 0));
  CHECK_FALSE(record.downstream.rate);
  CHECK(change({.downstream_filter = "web"}));
  CHECK(contract::downstream_filter(record.flags) == 5);
  CHECK(record.upstream_rate == contract::OctetRate(3'000'000, 0));  // what is not named stays
  CHECK(session->account().filters() == model::ServiceFilters{.downstream = "web"});

  // Refused: everything stays.
  CHECK_FALSE(change({.upstream_filter = "absent"}));
  world.commands.service_result = contract::ReplyResult::kBadMessage;
  CHECK_FALSE(change({.downstream_rate = model::RateLimit{1'000, 0}}));
  world.commands.is_attached = false;
  CHECK_FALSE(change({.downstream_rate = model::RateLimit{1'000, 0}}));
  CHECK(session->account().rates() == model::ServiceRates{.upstream = {3'000'000, 0}});
  CHECK(world.only_session().state == "open");

  // A dataplane that never heard of it is told when it is there.
  world.commands.service_result = contract::ReplyResult::kDone;
  dataplane_set_service(world.memory.sessions()[session->call().slot.value], {});
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(record.upstream_rate == contract::OctetRate(3'000'000, 0));
  CHECK(contract::downstream_filter(record.flags) == 5);
  CHECK(change({.upstream_rate = model::RateLimit(), .downstream_filter = ""}));
  CHECK((record.flags & (contract::kFlagRates | contract::kFiltersMask)) == 0);
}

TEST_CASE("sessions: the rate group of an account goes to the dataplane by its number",
          "[subscriber][service]") {
  World world;
  world.memory.header().rate_groups[100] = contract::name_mark("village");
  give_terms(world, {.rates = {.group = "village"}});
  world.dial(*world.connect(), 1);
  const auto slot = world.only_session().slot.value;
  REQUIRE(world.commands.services[slot].size() == 1);
  CHECK(world.commands.services[slot].front().rate_group == 100);
  CHECK(world.only_session().state == "open");
}

TEST_CASE("sessions: a login whose rate group the dataplane does not have is refused",
          "[subscriber][service]") {
  World world;
  give_terms(world, {.rates = {.group = "village"}});
  world.dial(*world.connect(), 1);
  world.loop.advance(Seconds(10));
  REQUIRE(world.service->last_ends().size() == 1);
  CHECK(world.service->last_ends().front().reason == "auth_rate_group_unknown");
}
