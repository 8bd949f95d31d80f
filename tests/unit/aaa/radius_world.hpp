// SPDX-License-Identifier: BSD-3-Clause
//
// RadiusWorld: a RadiusClient, scripted servers in memory and a clock that the test moves. Servers
// check what they get and sign what they send as real ones do.
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/aaa/radius_client.hpp"
#include "pns/base/bytes.hpp"
#include "pns/radius/authenticators.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/fake_random.hpp"

namespace pns::test {

struct ScriptedServer {
  IpEndpoint endpoint;
  std::string secret = "testing123";
  bool answers = true;
  bool answers_status = true;
  unsigned answer_one_in = 1;  // of the datagrams that arrive
  Duration delay = Milliseconds(5);
  std::size_t room = SIZE_MAX;  // requests at once; it loses the rest
  radius::Code code = radius::Code::kAccessAccept;
  bool message_authenticator = true;
  // Attributes of the answer.
  std::function<void(radius::PacketBuilder& answer, const radius::PacketView& request)> fill;

  // Datagrams that it has seen.
  struct Arrival {
    TimePoint at;
    std::uint16_t socket;
    std::vector<std::byte> octets;
    [[nodiscard]] radius::PacketView packet() const { return *radius::PacketView::parse(octets); }
  };
  std::vector<Arrival> requests;
  std::size_t probes = 0;
  std::size_t at_work = 0;
  std::size_t lost = 0;
  std::size_t peak = 0;
};

class RadiusWorld : public aaa::RadiusTransport {
 public:
  // A server of this world at 192.0.2.N:1812, or 1813 for accounting.
  ScriptedServer& add(std::uint8_t n, model::RadiusKind kind = model::RadiusKind::kAuthentication,
                      std::uint32_t priority = 0, std::uint32_t weight = 1) {
    ScriptedServer& server = servers_.emplace_back();
    const bool accounting = kind == model::RadiusKind::kAccounting;
    server.endpoint = {Ipv4Address(0xc0000200U + n),
                       static_cast<std::uint16_t>(accounting ? 1813 : 1812)};
    if (accounting) server.code = radius::Code::kAccountingResponse;
    settings.servers.push_back({.endpoint = server.endpoint,
                                .kind = kind,
                                .secret = SecretText(std::string_view(server.secret)),
                                .priority = priority,
                                .weight = weight,
                                .timeout = Seconds(1),
                                .tries = 3,
                                .max_window = 1024,
                                .health = {}});
    return server;
  }
  void start() {
    client_ = std::make_unique<aaa::RadiusClient>(
        std::move(settings), *this, random_, [this] { return clock.now(); },
        [this](TimePoint at) { wake_at_ = at; },
        aaa::RadiusClient::Observer{
            .changed = [this](
                           const model::RadiusServerCounts& server,
                           model::RadiusState state) { states.emplace_back(server.name, state); },
            .discarded = {}});
  }
  [[nodiscard]] aaa::RadiusClient& client() { return *client_; }
  [[nodiscard]] const model::RadiusServerCounts& counts(std::size_t server) const {
    return client_->server_counts()[server];
  }
  [[nodiscard]] std::int64_t discards(std::size_t server, model::RadiusDiscard reason) const {
    return counts(server).discards[static_cast<std::size_t>(reason)].get();
  }

  // Asks with this User-Name, and counts the answers.
  void ask(const std::string& user, aaa::RadiusQuestion question = {}) {
    if (!question.build)
      question.build = [user](radius::PacketBuilder& packet, const aaa::RadiusAttempt&) {
        packet.add_text(radius::attribute::kUserName, user);
      };
    ++asked;
    client_->ask(std::move(question),
                 [this](std::expected<aaa::RadiusAnswer, aaa::RadiusFailure> answer) {
                   if (answer) {
                     ++answered;
                     answered_by.push_back(answer->server);
                     last_code = answer->packet.code();
                   } else {
                     failures.push_back(answer.error());
                   }
                   if (then) then();
                 });
  }
  void ask_many(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) ask("u" + std::to_string(i));
  }

  // Lets time pass: datagrams arrive and timers run at their moments.
  void run(Duration duration) {
    const TimePoint end = clock.now() + duration;
    for (;;) {
      TimePoint next = end;
      const bool network = !events_.empty() && events_.begin()->first <= next;
      if (network) next = events_.begin()->first;
      const bool timer = wake_at_ && *wake_at_ <= next && (!network || *wake_at_ < next);
      if (timer) next = *wake_at_;
      clock.advance_to(next);
      if (timer) {
        wake_at_.reset();
        client_->on_deadline();
      } else if (network) {
        auto event = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        event();
      } else {
        return;
      }
    }
  }

  // Hands octets to the client as if they came from there.
  void deliver(const IpEndpoint& from, std::uint16_t socket, Bytes octets) {
    client_->on_datagram(from, socket, octets);
  }
  // The answer that this server gives to a request.
  [[nodiscard]] static std::vector<std::byte> answer(
      const ScriptedServer& server, const radius::PacketView& request,
      std::optional<radius::Code> code = std::nullopt) {
    using MessageAuthenticator = radius::PacketBuilder::MessageAuthenticator;
    const bool status = request.code() == radius::Code::kStatusServer;
    radius::PacketBuilder builder(code.value_or(server.code), request.identifier(), {},
                                  server.message_authenticator && !status
                                      ? MessageAuthenticator::kFirst
                                      : MessageAuthenticator::kNone);
    if (server.fill && !status) server.fill(builder, request);
    const auto packet =
        radius::sign_response(builder, as_octets(server.secret), request.authenticator());
    REQUIRE(packet);
    return {packet->begin(), packet->end()};
  }

  // ---- RadiusTransport
  [[nodiscard]] std::uint16_t socket_count(bool) const noexcept override { return sockets; }
  [[nodiscard]] bool send(const IpEndpoint& to, std::uint16_t socket, Bytes packet) override {
    for (ScriptedServer& server : servers_)
      if (server.endpoint == to) arrive(server, socket, packet);
    return sends;
  }

  aaa::RadiusClientSettings settings;
  FakeClock clock;
  std::uint16_t sockets = 64;  // of each family
  bool sends = true;
  std::function<void()> then;  // after each answer or failure
  std::size_t asked = 0;
  std::size_t answered = 0;
  std::vector<std::size_t> answered_by;
  radius::Code last_code{};
  std::vector<aaa::RadiusFailure> failures;
  std::vector<std::pair<std::string, model::RadiusState>> states;

 private:
  void arrive(ScriptedServer& server, std::uint16_t socket, Bytes octets) {
    const auto packet = radius::PacketView::parse(octets);
    REQUIRE(packet);
    REQUIRE(radius::verify_request(*packet, as_octets(server.secret),
                                   packet->code() == radius::Code::kAccountingRequest
                                       ? radius::MessageAuthenticatorPolicy::kAccept
                                       : radius::MessageAuthenticatorPolicy::kRequire));
    const bool status = packet->code() == radius::Code::kStatusServer;
    if (status)
      ++server.probes;
    else
      server.requests.push_back({clock.now(), socket, {octets.begin(), octets.end()}});
    if (status ? !server.answers_status : !server.answers) return;
    if (random_.next_u32() % server.answer_one_in != 0) return;
    if (server.at_work >= server.room) return void(++server.lost);
    server.peak = std::max(server.peak, ++server.at_work);
    events_.emplace(
        clock.now() + server.delay,
        [this, &server, socket, octets = std::vector<std::byte>(octets.begin(), octets.end())] {
          --server.at_work;
          const auto reply = answer(server, *radius::PacketView::parse(octets));
          client_->on_datagram(server.endpoint, socket, reply);
        });
  }

  std::deque<ScriptedServer> servers_;
  FakeRandom random_;
  std::multimap<TimePoint, std::move_only_function<void()>> events_;
  std::optional<TimePoint> wake_at_;
  std::unique_ptr<aaa::RadiusClient> client_;
};

}  // namespace pns::test
