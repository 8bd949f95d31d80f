// SPDX-License-Identifier: BSD-3-Clause
//
// AuthorizationWorld: a DynamicAuthorization, sessions in memory, and a clock that the test moves.
// Its client builds requests as radclient does and checks the answers as RFC 5176 §2.3 asks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/aaa/dynamic_authorization.hpp"
#include "pns/base/bytes.hpp"
#include "pns/radius/authenticators.hpp"
#include "pns/radius/packet_builder.hpp"
#include "pns/radius/values.hpp"

namespace pns::test {

using Octets = std::vector<std::byte>;

// Sessions with an id and a user. A request to them waits until the test lets it happen.
class FakeSessions final : public aaa::AuthorizedSessions, public aaa::ServiceChanger {
 public:
  using Done = aaa::AuthorizedSessions::Done;
  struct Asked {
    SessionId session;
    Classes classes;
    Done done;
  };

  std::optional<std::vector<SessionId>> find(const model::SessionIdentification& wanted,
                                             std::size_t most) const override {
    std::vector<SessionId> found;
    for (const auto& [id, user] : users)
      if (!wanted.names_none && (!wanted.session || *wanted.session == id) &&
          (!wanted.user || *wanted.user == user))
        found.push_back(id);
    return found.size() > most ? std::nullopt : std::optional(found);
  }
  void disconnect(SessionId session, const Classes& classes, Done done) override {
    take(session, classes, std::move(done));
  }
  std::optional<model::AuthorizationRefusal> objection(SessionId session,
                                                       const model::ServiceChange&) const override {
    return session == fussy ? std::optional(model::AuthorizationRefusal::invalid_value)
                            : std::nullopt;
  }
  void apply(SessionId session, const model::ServiceChange& change, Done done) override {
    take(session, change.classes.value_or(Classes{}), std::move(done));
  }
  // The oldest one that waits happens, or fails.
  void settle(bool is_done = true) {
    Asked next = std::move(asked.front());
    asked.erase(asked.begin());
    next.done(is_done);
  }

  std::map<SessionId, std::string> users;
  SessionId fussy{};  // objects to each change
  bool at_once = true;
  std::vector<Asked> asked;  // what waits
  std::vector<std::pair<SessionId, Classes>> carried_out;

 private:
  void take(SessionId session, const Classes& classes, Done done) {
    carried_out.emplace_back(session, classes);
    if (at_once) return done(true);
    asked.push_back({session, classes, std::move(done)});
  }
};

class AuthorizationWorld {
 public:
  static constexpr std::uint32_t kNoon = 1'796'000'000;
  static constexpr std::string_view kSecret = "testing123";
  static constexpr Ipv4Address kClient{0xc0000209};  // 192.0.2.9
  static constexpr IpEndpoint kSource{kClient, 40'000};

  using Fill = std::function<void(radius::PacketBuilder&)>;

  AuthorizationWorld() {
    settings.clients.push_back({.network = Ipv4Prefix{kClient, 32},
                                .secret = SecretText(kSecret),
                                .rate = {.rate = 1000, .burst = 1000}});
    settings.nas = {.identifier = "lns", .addresses = {Ipv4Address(0xc6336401)}};
    sessions.users = {{SessionId(0x0a1b), "alice"}, {SessionId(0x0a1c), "bob"}};
  }
  void start() {
    server.emplace(
        settings, sessions, sessions,
        aaa::DynamicAuthorization::Hooks{
            .send =
                [this](const IpEndpoint& to, std::uint16_t socket, Bytes packet) {
                  sent.push_back({to, socket, {packet.begin(), packet.end()}});
                  return kernel_takes;
                },
            .now = [this] { return now; },
            .wall = [this] { return wall; },
            .refused = [this](const IpEndpoint&,
                              const aaa::RequestRefusal& refusal) { refused.push_back(refusal); }});
  }

  // A signed request with an Event-Timestamp of now.
  [[nodiscard]] Octets request(radius::Code code, const Fill& fill, std::uint8_t identifier = 1,
                               std::string_view secret = kSecret) const {
    return signed_request(code, identifier, secret, [&](radius::PacketBuilder& packet) {
      packet.add_u32(radius::attribute::kEventTimestamp, static_cast<std::uint32_t>(wall));
      fill(packet);
    });
  }
  [[nodiscard]] static Octets signed_request(radius::Code code, std::uint8_t identifier,
                                             std::string_view secret, const Fill& fill) {
    radius::PacketBuilder packet(code, identifier);
    fill(packet);
    const auto octets = radius::sign_request(packet, as_octets(secret));
    return {octets->begin(), octets->end()};
  }
  [[nodiscard]] Octets disconnect(std::string_view user, std::uint8_t identifier = 1) const {
    return request(radius::Code::kDisconnectRequest, user_name(user), identifier);
  }
  [[nodiscard]] static Fill user_name(std::string_view user) {
    return [user](radius::PacketBuilder& packet) {
      packet.add_text(radius::attribute::kUserName, user);
    };
  }

  void receive(Bytes datagram, const IpEndpoint& source = kSource, std::uint16_t socket = 0) {
    server->on_datagram(source, socket, datagram);
  }
  // The verified answer to the request; empty: there was none.
  [[nodiscard]] std::optional<radius::PacketView> answer_to(Bytes request,
                                                            const IpEndpoint& source = kSource,
                                                            std::string_view secret = kSecret) {
    const std::size_t before = sent.size();
    receive(request, source);
    if (sent.size() == before) return std::nullopt;
    return verified(request, secret);
  }
  // The latest datagram, as an answer to this request.
  [[nodiscard]] std::optional<radius::PacketView> verified(
      Bytes request, std::string_view secret = kSecret) const {
    const auto asked = radius::PacketView::parse(request);
    const auto answer = radius::PacketView::parse(sent.back().octets);
    if (!asked || !answer || answer->identifier() != asked->identifier()) return std::nullopt;
    const auto right =
        radius::verify_response(*answer, {asked->code(), asked->authenticator()}, as_octets(secret),
                                radius::MessageAuthenticatorPolicy::kRequire);
    return right ? std::optional(*answer) : std::nullopt;
  }
  [[nodiscard]] static std::uint32_t cause_of(const radius::PacketView& answer) {
    const auto value = answer.find_first(radius::attribute::kErrorCause);
    return value ? radius::read_u32(*value).value_or(0) : 0;
  }
  // Error-Cause of the NAK to a request; 0: there was no NAK.
  [[nodiscard]] std::uint32_t refusal_of(radius::Code code, const Fill& fill) {
    const Octets octets = request(code, fill, ++identifier_);
    const auto answer = answer_to(octets);
    if (!answer) return 0;
    const bool is_nak =
        answer->code() == radius::Code::kCoaNak || answer->code() == radius::Code::kDisconnectNak;
    return is_nak ? cause_of(*answer) : 0;
  }
  [[nodiscard]] std::int64_t refusals(model::AuthorizationRefusal reason, std::size_t client = 0) {
    return server->client_counts()[client].refusals[static_cast<std::size_t>(reason)].get();
  }
  [[nodiscard]] const model::AuthorizationClientCounts& counts(std::size_t client = 0) const {
    return server->client_counts()[client];
  }

  struct Sent {
    IpEndpoint to;
    std::uint16_t socket;
    Octets octets;
  };
  aaa::AuthorizationSettings settings;
  FakeSessions sessions;
  TimePoint now{Seconds(1000)};
  std::uint64_t wall = kNoon;
  bool kernel_takes = true;
  std::vector<Sent> sent;
  std::vector<aaa::RequestRefusal> refused;
  std::optional<aaa::DynamicAuthorization> server;

 private:
  std::uint8_t identifier_ = 100;
};

}  // namespace pns::test
