// SPDX-License-Identifier: BSD-3-Clause
//
// Authentication in several rounds: AAA answers with challenges before it decides. The method is
// one of this test that passes EAP packets on, as one for a RADIUS server will.
#include <catch2/catch.hpp>

#include "controlplane/aaa/authenticator.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

// Asks for the identity, then passes messages on in both directions.
class EapRelay final : public AuthenticatorSide {
 public:
  [[nodiscard]] wire::PppProtocol protocol() const noexcept override {
    return wire::PppProtocol::kEap;
  }
  [[nodiscard]] model::AuthMethod method() const noexcept override {
    return model::AuthMethod::kEap;
  }
  void start(Context& context) override { request(octets("01"), context); }
  void on_packet(const wire::ControlPacket& packet, Context& context) override {
    if (packet.code != kEapResponse || packet.identifier != identifier_) return;
    context.observer.credentials(
        {.user = "User",
         .credentials = model::RelayedCredentials{to_octets(packet.data), state_},
         .peer = {}});
  }
  [[nodiscard]] bool challenge(const model::AuthChallenge& challenge, Context& context) override {
    state_ = challenge.state;
    request(challenge.message, context);
    return true;
  }
  void grant(const model::AuthGrant&, Context& context) override {
    context.observer.before_auth_success();
    context.send(protocol(), kEapSuccess, identifier_, {});
    context.observer.authenticated();
  }
  void deny(const model::AuthDenial& denial, Context& context) override {
    context.send(protocol(), kEapFailure, identifier_, {});
    context.observer.auth_failed(denial.reason);
  }
  [[nodiscard]] std::optional<TimePoint> deadline() const noexcept override { return {}; }
  void on_timer(Context&) override {}

 private:
  void request(Bytes data, Context& context) {
    context.send(protocol(), kEapRequest, ++identifier_, data);
  }
  std::uint8_t identifier_ = 0;
  std::vector<std::byte> state_;
};

LinkSettings relayed() {
  LinkSettings settings;
  settings.auth = {model::AuthMethod::kEap};
  settings.mppe = MppePolicy::kOff;
  settings.make_authenticator = [](model::AuthMethod, const LinkSettings&) {
    return std::unique_ptr<AuthenticatorSide>(std::make_unique<EapRelay>());
  };
  return settings;
}

// A server: `rounds` challenges, then a grant. Its questions are kept.
class Server final : public aaa::Authenticator {
 public:
  explicit Server(unsigned rounds) : rounds_(rounds) {}
  void authenticate(model::AuthRequest request, Done done) override {
    CHECK(request.method() == model::AuthMethod::kEap);
    seen.push_back(std::get<model::RelayedCredentials>(request.credentials));
    const auto round = static_cast<std::byte>(seen.size());
    if (seen.size() > rounds_) {
      model::AuthGrant grant;
      grant.user = request.user;
      return done(grant);
    }
    done(model::AuthChallenge{{std::byte{13}, round}, {std::byte{0x5a}, round}});
  }
  std::vector<model::RelayedCredentials> seen;

 private:
  unsigned rounds_;
};

// A link whose client answers each Request with its message, one octet longer.
struct Relayed : LinkPair {
  explicit Relayed(unsigned rounds) : LinkPair(relayed()), server(rounds) {
    answer_auth = false;
    drop_to_client = [this](const Octets& f) {
      const auto p = parse(f);
      if (!p || p->protocol != kEap || p->code != kEapRequest) return false;
      pending = p;
      return true;
    };
    start();
  }
  // The client's answer to the Request, and AAA's to that. False: there was none.
  bool round() {
    if (!pending) return false;
    const Packet request = *std::exchange(pending, std::nullopt);
    Octets answer = request.data;
    answer.push_back(std::byte{0xcc});
    asked.reset();
    run(link.on_frame(frame(kEap, kEapResponse, request.identifier, answer), clock.now()));
    if (!asked) return false;
    server.authenticate(std::move(*asked), [this](model::AuthResult result) {
      run(link.on_auth_result(result, result ? std::optional(network) : std::nullopt, clock.now()));
    });
    return true;
  }
  Server server;
  std::optional<Packet> pending;
};

}  // namespace

TEST_CASE("challenge: two rounds, then the grant", "[ppp][auth]") {
  Relayed pair(2);
  CHECK(pair.round());
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  CHECK(pair.round());
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  CHECK(pair.round());
  CHECK_FALSE(pair.round());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.status().user == "User");
  CHECK(pair.link.status().auth == model::AuthMethod::kEap);

  REQUIRE(pair.server.seen.size() == 3);
  CHECK(pair.server.seen[0].message == octets("01cc"));
  CHECK(pair.server.seen[0].state.empty());
  CHECK(pair.server.seen[1].message == octets("0d01cc"));
  CHECK(pair.server.seen[1].state == octets("5a01"));
  CHECK(pair.server.seen[2].message == octets("0d02cc"));
  CHECK(pair.server.seen[2].state == octets("5a02"));
}

TEST_CASE("challenge: the answer to each round has its own time", "[ppp][auth]") {
  Relayed pair(2);
  CHECK(pair.round());
  pair.advance(LinkSettings{}.auth_decision_timeout);  // AAA has answered: it is the peer's time
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  const Packet request = *pair.pending;
  pair.run(
      pair.link.on_frame(frame(kEap, kEapResponse, request.identifier, "0d01"), pair.clock.now()));
  pair.advance(LinkSettings{}.auth_decision_timeout);
  CHECK(pair.link.refused() == EndReason::auth_unavailable);
}

TEST_CASE("challenge: a server that never decides is given up", "[ppp][auth]") {
  Relayed pair(1000);
  unsigned rounds = 0;
  while (pair.round()) ++rounds;
  CHECK(rounds == Link::kMaximumChallenges + 1);
  CHECK(packets(pair.actions, kEap, kEapFailure).size() == 1);
  CHECK(pair.link.refused() == EndReason::auth_unavailable);
}

TEST_CASE("challenge: a method of one round refuses the peer", "[ppp][auth]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  REQUIRE(pair.asked);
  const auto actions =
      pair.link.on_auth_result(model::AuthChallenge{}, std::nullopt, pair.clock.now());
  CHECK(packets(actions, kChap, kFailure).size() == 1);
  CHECK(pair.link.refused() == EndReason::auth_unavailable);
}
