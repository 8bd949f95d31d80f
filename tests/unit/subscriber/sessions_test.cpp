// SPDX-License-Identifier: BSD-3-Clause
//
// Sessions without a socket and without real time: the transport, the dataplane and the supervisor
// are fakes, and minutes pass in milliseconds. service_test.cpp has the real ones.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/subscriber/service.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "tests/support/fake_event_loop.hpp"
#include "tests/support/ppp_client.hpp"
#include "tests/support/pptp_actions.hpp"

using namespace pns;
using namespace pns::test;
using contract::SlotState;
using subscriber::Session;
using subscriber::SessionView;

namespace {

// The peer's end of a control connection.
class FakeTransport final : public control::MessageTransport {
 public:
  explicit FakeTransport(Events events) : events_(std::move(events)) {}
  void start() override {}
  void send(Bytes message) override { sent.push_back(wire::pptp::parse_message(message).value()); }
  void close_after_flush() override { closed = true; }
  void stop_reading() override {}
  [[nodiscard]] bool is_flushed() const override { return true; }
  [[nodiscard]] std::uint64_t handled_up_to() const override { return handled_; }
  bool skip_handled(std::uint64_t) override { return false; }

  void receive(const wire::pptp::Message& message) {
    std::array<std::byte, wire::pptp::kLongestMessage> buffer{};
    const Bytes octets = Bytes(buffer).first(wire::pptp::write_message(buffer, message));
    REQUIRE(events_.frame(octets).message == octets.size());
    handled_ += octets.size();
    events_.message(octets);
  }
  void lose() { events_.closed(EndReason::peer_closed_tcp); }

  std::vector<wire::pptp::Message> sent;
  bool closed = false;

 private:
  Events events_;
  std::uint64_t handled_ = 0;
};

class FakeKeeper final : public control::ConnectionKeeper {
 public:
  void store_connection(ConnectionId, int, Ipv4Address, Ipv4Address, std::uint16_t) override {}
  void forget_connection(ConnectionId) override {}
};

class NoOpener final : public control::ConnectionOpener {
 public:
  std::uint64_t connect(Ipv4Address, Ipv4Address, std::uint16_t, Duration, Done) override {
    return 0;
  }
  void cancel(std::uint64_t) override {}
};

// Keeps session memory as the dataplane does; a PPP client is behind each call.
class FakeCommands final : public control::DataplaneCommands {
 public:
  FakeCommands(FakeEventLoop& loop, contract::SessionMemory& memory)
      : loop_(loop), memory_(memory) {}
  [[nodiscard]] bool attached() const noexcept override { return is_attached; }
  Sent install(SlotId slot, const contract::InstallSession& spec, Completion done) override {
    auto& record = memory_.sessions()[slot.value];
    record.generation = record.generation + 1;
    record.our_call_id = spec.our_call_id;
    record.peer_call_id = spec.peer_call_id;
    record.local = spec.local;
    record.peer = spec.peer;
    record.flags = 0;
    record.state = SlotState::kInstalled;
    clients.try_emplace(slot.value, next_client);
    answer(std::move(done), record.generation);
    return {};
  }
  Sent remove(control::SessionHandle session, Completion done) override {
    if (on_remove) on_remove();
    memory_.sessions()[session.slot.value].state = SlotState::kFree;
    clients.erase(session.slot.value);
    answer(std::move(done), session.generation);
    return {};
  }
  Sent configure_link(control::SessionHandle, const contract::ConfigureLink&) override {
    return {};
  }
  Sent arm_mppe(control::SessionHandle, contract::ArmMppe&) override { return {}; }
  Sent disarm_mppe(control::SessionHandle) override { return {}; }
  Sent open_ipv4(control::SessionHandle session, const contract::OpenIpv4& open,
                 Completion done) override {
    auto& record = memory_.sessions()[session.slot.value];
    record.subscriber = open.subscriber;
    record.flags |= contract::kFlagIpv4Open;
    answer(std::move(done), session.generation);
    return {};
  }
  Sent close_ipv4(control::SessionHandle session) override {
    memory_.sessions()[session.slot.value].flags &= ~contract::kFlagIpv4Open;
    return {};
  }
  Sent open_ipv6(control::SessionHandle session, const contract::OpenIpv6&,
                 Completion done) override {
    answer(std::move(done), session.generation);
    return {};
  }
  Sent close_ipv6(control::SessionHandle) override { return {}; }
  Sent inject(control::SessionHandle session, Bytes frame) override {
    const auto client = clients.find(session.slot.value);
    if (client == clients.end() || silent) return {};
    for (auto& octets : client->second.on_frame(frame))
      loop_.post([this, session, octets = std::move(octets)] {
        service->on_punted(session, Bytes(octets).subspan(2));
      });
    return {};
  }

  subscriber::Service* service = nullptr;
  std::map<std::uint32_t, PppClient> clients;  // by slot
  PppClient next_client;
  bool is_attached = true;
  bool silent = false;  // the clients do not answer
  std::function<void()> on_remove;

 private:
  void answer(Completion done, std::uint32_t generation) {
    loop_.post([done = std::move(done), generation]() mutable {
      done(contract::Reply{contract::ReplyResult::kDone, generation});
    });
  }
  FakeEventLoop& loop_;
  contract::SessionMemory& memory_;
};

std::vector<aaa::LocalUser> accounts() {
  std::vector<aaa::LocalUser> out(3);
  const char* names[] = {"User", "1234", "Other"};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].name = names[i];
    out[i].nt_hash = crypto::nt_password_hash("clientPass").value();
  }
  return out;
}

struct World {
  explicit World(const std::function<void(config::Config&)>& change = {}, bool attached = true) {
    if (change) change(config);
    config.pools["default"] = {.ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a4000fe)}},
                               .gateway = Ipv4Address(0x0a400001)};
    memory.header().worker_count = 1;
    pools.emplace(subscriber::make_pools(config));
    service.emplace(
        subscriber::Services{.loop = loop,
                             .config = config,
                             .memory = memory,
                             .statistics = statistics,
                             .keeper = keeper,
                             .dataplane = commands,
                             .authenticator = authenticator,
                             .pools = *pools,
                             .journal = *journal,
                             .random = random},
        subscriber::CallControl::Network{
            .make_transport =
                [this](UniqueFd, control::MessageTransport::Events events) {
                  transports.push_back(std::make_shared<FakeTransport>(std::move(events)));
                  return transports.back();
                },
            .opener = opener},
        subscriber::SessionIdSource(1, [] { return 1'800'000'000'000; }));
    commands.service = &*service;
    commands.is_attached = attached;
    if (attached) service->on_dataplane_attached();
  }
  ~World() { std::filesystem::remove_all(directory); }

  // A connection of this peer, established.
  std::shared_ptr<FakeTransport> connect(Ipv4Address peer = Ipv4Address(0xcb007105)) {
    service->accept(UniqueFd(), Ipv4Address(0xc6336401), peer, 4711);
    const auto transport = transports.back();
    transport->receive(wire::pptp::StartControlConnectionRequest{});
    loop.run();
    return transport;
  }
  void dial(FakeTransport& transport, std::uint16_t call_id) {
    transport.receive(wire::pptp::OutgoingCallRequest{
        .call_id = call_id, .maximum_bps = 100'000'000, .packet_recv_window_size = 64});
    loop.run();
  }
  // Time passes while the peer keeps its control connection alive.
  void live(FakeTransport& transport, Duration duration) {
    for (constexpr auto kStep = Seconds(20); duration > Duration{}; duration -= kStep) {
      if (!transport.closed) transport.receive(wire::pptp::EchoRequest{.identifier = 1});
      loop.advance(std::min<Duration>(duration, kStep));
    }
  }
  [[nodiscard]] SessionView only_session() const {
    const auto views = service->sessions();
    REQUIRE(views.size() == 1);
    return views.front();
  }
  [[nodiscard]] static std::filesystem::path make_directory() {
    std::string name = (std::filesystem::temp_directory_path() / "pns-sessions-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    return name;
  }

  FakeEventLoop loop;
  std::filesystem::path directory = make_directory();
  UniqueFd memory_fd = contract::SessionMemory::create(8, false, 1).value();
  contract::SessionMemory memory = contract::SessionMemory::attach(memory_fd.get()).value();
  config::Config config;
  FakeRandom random;
  model::Statistics statistics;
  std::optional<pools::PoolSet> pools;
  aaa::LocalAuthenticator authenticator{accounts(), random};
  std::unique_ptr<resume::Journal> journal =
      resume::Journal::open(
          directory / "store", 64, "boot",
          [this](resume::Journal::Action action) { loop.post(std::move(action)); })
          .value();
  FakeKeeper keeper;
  NoOpener opener;
  FakeCommands commands{loop, memory};
  std::vector<std::shared_ptr<FakeTransport>> transports;
  std::optional<subscriber::Service> service;
};

// Accounting as RFC 2866 wants it, written as a listener alone.
class Accounting final : public subscriber::SessionListener {
 public:
  void on_opened(const Session& session) override {
    records.push_back("start " + session.user() + " " + session.view().address.to_string());
  }
  void on_counters_due(const Session& session) override {
    records.push_back("interim " + std::to_string(session.view().rx_bytes));
  }
  void on_ended(const Session& session, const subscriber::SessionEnd& end) override {
    if (session.opened())
      records.push_back("stop " + std::string(name_of(end.reason)) + " " +
                        std::to_string(session.view().rx_bytes) + " " +
                        std::to_string(end.duration.count()));
  }
  std::vector<std::string> records;
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
  CHECK(world.service->sessions().empty());
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
  CHECK(world.service->sessions().empty());
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
  REQUIRE(service.sessions().size() == 2);
  const auto numbered = service.sessions({.user = "1234"});
  REQUIRE(numbered.size() == 1);
  CHECK(numbered.front().peer == far);
  const SessionId id = numbered.front().id;
  CHECK(service.sessions({.kind = Kind::kId, .id = id}).size() == 1);
  CHECK(service.sessions({.kind = Kind::kAddress, .address = numbered.front().address}).size() ==
        1);
  CHECK(service.sessions({.kind = Kind::kPeer, .address = far}).front().id == id);
  CHECK(service.sessions({.kind = Kind::kId, .id = SessionId(id.value + 1)}).empty());
  CHECK(service.audit().findings.empty());
  // A user named as a number is a user, and no slot and no id.
  CHECK(service.clear({.user = "1"}) == 0);
  CHECK(service.clear({.user = "1234"}) == 1);
  world.loop.advance(Seconds(10));
  REQUIRE(service.sessions().size() == 1);
  CHECK(service.sessions().front().user == "User");
  CHECK(service.sessions({.kind = Kind::kAddress, .address = numbered.front().address}).empty());
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
      out_.push_back(session.user() + "/" + session.view().claimed_user);
    }

   private:
    std::vector<std::string>& out_;
  } names(users);
  world.service->add_listener(names);
  world.dial(*transport, 1);
  CHECK(world.service->sessions({.user = "Other"}).empty());
  CHECK(world.service->clear({.user = "Other"}) == 0);
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
  CHECK(world.service->sessions().size() == 1);
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
  CHECK(world.service->sessions().empty());
  world.commands.is_attached = true;
  world.service->on_dataplane_attached();
  world.loop.run();
  CHECK(world.service->sessions().size() == 2);
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
    REQUIRE(world.service->sessions().empty());
  }
}
