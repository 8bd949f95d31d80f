// SPDX-License-Identifier: BSD-3-Clause
//
// FakeWorld: a Service without a socket and without real time. The transport, the dataplane and the
// supervisor are fakes, and minutes pass in milliseconds. world.hpp has real sockets.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/aaa/local_authenticator.hpp"
#include "controlplane/subscriber/service.hpp"
#include "controlplane/subscriber/settings.hpp"
#include "tests/support/fake_event_loop.hpp"
#include "tests/support/ppp_client.hpp"
#include "tests/support/pptp_actions.hpp"
#include "tests/support/scratch_directory.hpp"
#include "tests/unit/subscriber/all_pages.hpp"

namespace pns::test {

// The peer's end of a control connection.
class FakeTransport final : public control::MessageTransport {
 public:
  FakeTransport(ConnectionId id, Owner& owner) : id_(id), owner_(owner) {}
  void start() override {}
  std::size_t read(std::size_t) override { return 0; }
  void send(Bytes message) override { sent.push_back(wire::pptp::parse_message(message).value()); }
  void close_after_flush() override { closed = true; }
  void stop_reading() override {}
  [[nodiscard]] bool is_flushed() const override { return true; }
  [[nodiscard]] std::uint64_t handled_up_to() const override { return handled_; }
  bool skip_handled(std::uint64_t) override { return false; }

  void receive(const wire::pptp::Message& message) {
    std::array<std::byte, wire::pptp::kLongestMessage> buffer{};
    const Bytes octets = Bytes(buffer).first(wire::pptp::write_message(buffer, message));
    REQUIRE(owner_.frame(id_, octets).message == octets.size());
    handled_ += octets.size();
    owner_.on_message(id_, octets);
  }
  void lose() { owner_.on_closed(id_, EndReason::peer_closed_tcp); }

  std::vector<wire::pptp::Message> sent;
  bool closed = false;

 private:
  ConnectionId id_;
  Owner& owner_;
  std::uint64_t handled_ = 0;
};

class KeepsNothing final : public control::ConnectionKeeper {
 public:
  void store_connection(ConnectionId, int, Ipv4Address, Ipv4Address, std::uint16_t) override {}
  void forget_connection(ConnectionId) override {}
  void set_route(const std::string& network, bool in_force) override {
    in_force ? (void)routes.insert(network) : (void)routes.erase(network);
    ++route_changes;
  }
  std::set<std::string> routes;  // of the kernel
  int route_changes = 0;
};

class NoOpener final : public control::ConnectionOpener {
 public:
  std::uint64_t connect(Ipv4Address, Ipv4Address, std::uint16_t, Duration, Done) override {
    return 0;
  }
  void cancel(std::uint64_t) override {}
};

// Keeps session memory as the dataplane does; a PPP client is behind each call.
// As dataplane/session does.
inline void dataplane_set_service(contract::SessionRecord& record,
                                  const contract::SessionService& service) {
  const auto& [upstream, downstream] = service.rates;
  record.upstream_rate = {upstream.bits_per_second, upstream.burst_octets};
  record.downstream.rate = {downstream.bits_per_second, downstream.burst_octets};
  const bool limited = record.upstream_rate || record.downstream.rate;
  record.flags = (record.flags & ~(contract::kFlagRates | contract::kFiltersMask)) |
                 (limited ? contract::kFlagRates : 0) |
                 std::uint32_t{service.filters.upstream} << contract::kUpstreamFilterAt |
                 std::uint32_t{service.filters.downstream} << contract::kDownstreamFilterAt;
}

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
    record.state = contract::SlotState::kInstalled;
    record.upstream.last_receive_ns = 0;
    clients.try_emplace(slot.value, next_client);
    answer(std::move(done), record.generation);
    return {};
  }
  Sent remove(control::SessionHandle session, Completion done) override {
    if (on_remove) on_remove();
    memory_.sessions()[session.slot.value].state = contract::SlotState::kFree;
    clients.erase(session.slot.value);
    answer(std::move(done), session.generation);
    return {};
  }
  Sent configure_link(control::SessionHandle, const contract::ConfigureLink&) override {
    return {};
  }
  Sent arm_mppe(control::SessionHandle session, contract::ArmMppe&) override {
    auto& record = memory_.sessions()[session.slot.value];
    if (keeps_keys)
      record.upstream.mppe.mode = record.downstream.mppe.mode = mppe::Mode::kStateless;
    return {};
  }
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
  Sent set_service(control::SessionHandle session, const contract::SessionService& told,
                   Completion done) override {
    if (!is_attached) return std::unexpected(control::IpcError::kDetached);
    services[session.slot.value].push_back(told);
    if (service_result == contract::ReplyResult::kDone)
      dataplane_set_service(memory_.sessions()[session.slot.value], told);
    if (done)
      loop_.post([this, done = std::move(done), generation = session.generation]() mutable {
        done(contract::Reply{service_result, generation});
      });
    return {};
  }
  Sent set_networks(control::SessionHandle session, const Networks& networks,
                    Completion done) override {
    if (!is_attached) return std::unexpected(control::IpcError::kDetached);
    networks_of[session.slot.value] = networks;
    loop_.post([this, done = std::move(done), generation = session.generation]() mutable {
      done(contract::Reply{networks_result, generation});
    });
    return {};
  }
  Sent inject(control::SessionHandle session, Bytes frame) override {
    const auto client = clients.find(session.slot.value);
    if (client == clients.end() || silent || silent_slots.contains(session.slot.value)) return {};
    for (auto& octets : client->second.on_frame(frame)) {
      if (lose && lose(octets)) continue;
      loop_.post([this, session, octets = std::move(octets)] {
        hear(session.slot.value);
        service->on_punted(session, Bytes(octets).subspan(2));
      });
    }
    return {};
  }

  // GRE of the session came just now.
  void hear(std::uint32_t slot) {
    memory_.sessions()[slot].upstream.last_receive_ns = monotonic_ns(loop_.now());
  }

  subscriber::Service* service = nullptr;
  std::map<std::uint32_t, PppClient> clients;  // by slot
  PppClient next_client;
  bool is_attached = true;
  bool keeps_keys = false;               // session memory tells that it has them
  bool silent = false;                   // no client answers
  std::set<std::uint32_t> silent_slots;  // nor do the clients of these
  std::function<bool(Bytes)> lose;       // true: this frame of a client is lost
  std::function<void()> on_remove;
  std::map<std::uint32_t, Networks> networks_of;                            // by slot, as told last
  std::map<std::uint32_t, std::vector<contract::SessionService>> services;  // by slot, as told
  contract::ReplyResult service_result = contract::ReplyResult::kDone;
  contract::ReplyResult networks_result = contract::ReplyResult::kDone;

 private:
  void answer(Completion done, std::uint32_t generation) {
    loop_.post([done = std::move(done), generation]() mutable {
      done(contract::Reply{contract::ReplyResult::kDone, generation});
    });
  }
  FakeEventLoop& loop_;
  contract::SessionMemory& memory_;
};

inline std::vector<aaa::LocalUser> accounts() {
  std::vector<aaa::LocalUser> out(3);
  const char* names[] = {"User", "1234", "Other"};
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].name = names[i];
    out[i].nt_hash = crypto::nt_password_hash("clientPass").value();
  }
  return out;
}

struct FakeWorld {
  explicit FakeWorld(const std::function<void(config::Config&)>& change = {}, bool attached = true,
                     std::uint32_t slots = 8)
      : memory_fd(contract::SessionMemory::create(slots, false, 1).value()) {
    config.pools["default"] = {.ranges = {{Ipv4Address(0x0a400002), Ipv4Address(0x0a4000fe)}},
                               .gateway = Ipv4Address(0x0a400001)};
    if (change) change(config);
    memory.header().worker_count = 1;
    make_service();
    commands.is_attached = attached;
    if (attached) service->on_dataplane_attached();
  }

  // The control process, over the session memory and the store of one before it.
  void make_service() {
    service.reset();
    pools.emplace(subscriber::make_pools(config));
    service.emplace(
        subscriber::Services{.loop = loop,
                             .config = config,
                             .memory = memory,
                             .statistics = statistics,
                             .keeper = keeper,
                             .dataplane = commands,
                             .authenticator = judge,
                             .pools = *pools,
                             .journal = *journal,
                             .random = random},
        subscriber::CallControl::Network{
            .make_transport =
                [this](UniqueFd, ConnectionId id, control::MessageTransport::Owner& owner) {
                  transports.push_back(std::make_shared<FakeTransport>(id, owner));
                  return transports.back();
                },
            .opener = opener},
        subscriber::SessionIdSource(1, [] { return 1'800'000'000'000; }));
    commands.service = &*service;
  }

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
  // As the users file would.
  void give_fixed_address(std::string_view user, Ipv4Address address) {
    auto users = accounts();
    for (auto& account : users)
      if (account.name == user) account.address = address;
    authenticator.emplace(std::move(users), random);
    pools->set_fixed({address}, {});
  }
  // Changes the account of this name.
  void change_account(std::string_view user, const std::function<void(aaa::LocalUser&)>& change) {
    auto users = accounts();
    for (auto& account : users)
      if (account.name == user) change(account);
    authenticator.emplace(std::move(users), random);
  }
  void give_routes(std::string_view user, const Networks& networks) {
    auto users = accounts();
    for (auto& account : users)
      if (account.name == user) account.networks = std::make_shared<const Networks>(networks);
    authenticator.emplace(std::move(users), random);
  }
  [[nodiscard]] subscriber::SessionView only_session() const {
    const auto views = sessions_of(*service);
    REQUIRE(views.size() == 1);
    return views.front();
  }

  FakeEventLoop loop;
  ScratchDirectory scratch;
  std::filesystem::path directory = scratch.path;
  UniqueFd memory_fd;
  contract::SessionMemory memory = contract::SessionMemory::attach(memory_fd.get()).value();
  config::Config config;
  FakeRandom random;
  model::Statistics statistics;
  std::optional<pools::PoolSet> pools;
  std::optional<aaa::LocalAuthenticator> authenticator{std::in_place, accounts(), random};
  // Asks that one, and changes its grants.
  class Judge final : public aaa::Authenticator {
   public:
    explicit Judge(std::optional<aaa::LocalAuthenticator>& accounts) : accounts_(accounts) {}
    void authenticate(model::AuthRequest request, Done done) override {
      last = request;
      accounts_->authenticate(std::move(request),
                              [this, done = std::move(done)](model::AuthResult result) mutable {
                                if (!amend || !result) return done(std::move(result));
                                model::AuthGrant grant = *result;
                                amend(grant);
                                done(std::move(grant));
                              });
    }
    std::function<void(model::AuthGrant&)> amend;
    model::AuthRequest last;

   private:
    std::optional<aaa::LocalAuthenticator>& accounts_;
  } judge{authenticator};
  std::unique_ptr<resume::Journal> journal =
      resume::Journal::open(
          directory / "store", 64, "boot",
          [this](resume::Journal::Action action) { loop.post(std::move(action)); })
          .value();
  KeepsNothing keeper;
  NoOpener opener;
  FakeCommands commands{loop, memory};
  std::vector<std::shared_ptr<FakeTransport>> transports;
  std::optional<subscriber::Service> service;
};

}  // namespace pns::test
