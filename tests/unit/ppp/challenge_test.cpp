// SPDX-License-Identifier: BSD-3-Clause
//
// Authentication in several rounds: AAA answers with challenges before it decides, and EapRelay
// carries EAP packets between it and the peer.
#include <catch2/catch.hpp>

#include "controlplane/aaa/authenticator.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

LinkSettings relayed(unsigned max_configure) {
  LinkSettings settings;
  settings.max_configure = max_configure;
  settings.auth = {model::AuthMethod::kEap};
  settings.mppe = MppePolicy::kOff;
  settings.eap_relay = true;
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
    done(model::AuthChallenge{.message = message_of(round), .state = {std::byte{0x5a}, round}});
  }
  // An EAP Request of type 13 (EAP-TLS) with one octet of data, and the round as its Identifier.
  [[nodiscard]] static std::vector<std::byte> message_of(std::byte round) {
    return {std::byte{1}, round, std::byte{0}, std::byte{6}, std::byte{13}, round};
  }
  std::vector<model::RelayedCredentials> seen;

 private:
  unsigned rounds_;
};

// A link whose client answers each Request with its message, one octet longer.
struct Relayed : LinkPair {
  explicit Relayed(unsigned rounds, unsigned max_configure = LinkSettings{}.max_configure)
      : LinkPair(relayed(max_configure)), server(rounds) {
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
    const Octets more = octets(answer == octets("01") ? "55736572" : "cc");  // "User"
    answer.insert(answer.end(), more.begin(), more.end());
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
  CHECK(pair.server.seen[0].message.front() == std::byte{kEapResponse});
  CHECK(Octets(pair.server.seen[0].message.begin() + 2, pair.server.seen[0].message.end()) ==
        octets("00090155736572"));
  CHECK(pair.server.seen[0].state.empty());
  CHECK(pair.server.seen[1].message == octets("020100070d01cc"));
  CHECK(pair.server.seen[1].state == octets("5a01"));
  CHECK(pair.server.seen[2].message == octets("020200070d02cc"));
  CHECK(pair.server.seen[2].state == octets("5a02"));
}

TEST_CASE("challenge: the answer to each round has its own time", "[ppp][auth]") {
  Relayed pair(2, 100);
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

TEST_CASE("eap relay: a Request is repeated until the Response to it comes",
          "[ppp][auth][rfc3579-2.1]") {
  Relayed pair(1);
  REQUIRE(pair.round());
  const Packet request = *std::exchange(pair.pending, std::nullopt);
  pair.advance(LinkSettings{}.restart_timer);
  REQUIRE(pair.pending);
  CHECK(pair.pending->identifier == request.identifier);
  CHECK(pair.pending->data == request.data);
  // A late Response to the Request before that is nobody's.
  pair.asked.reset();
  pair.run(pair.link.on_frame(
      frame(kEap, kEapResponse, static_cast<std::uint8_t>(request.identifier + 1), octets("0d01")),
      pair.clock.now()));
  CHECK_FALSE(pair.asked);
  for (int n = 0; n < 10; ++n) pair.advance(LinkSettings{}.restart_timer);
  CHECK(pair.link.refused() == EndReason::auth_timeout);
}

TEST_CASE("eap relay: a server's message that cannot be passed on refuses the peer",
          "[ppp][auth][rfc3579-2.6.3]") {
  const auto message = GENERATE(octets(""), octets("01"), octets("020100060d01"),
                                octets("01010fff0d01"), Octets(1501, std::byte{1}));
  Relayed pair(1000);
  const Packet request = *std::exchange(pair.pending, std::nullopt);
  pair.run(pair.link.on_frame(frame(kEap, kEapResponse, request.identifier, octets("01cc")),
                              pair.clock.now()));
  REQUIRE(pair.asked);
  auto sent = message;
  if (sent.size() == 1501) {  // a Request as long as it says, and longer than the MRU of the peer
    sent[2] = std::byte{1501 >> 8};
    sent[3] = std::byte{1501 & 0xff};
  }
  pair.run(pair.link.on_auth_result(model::AuthChallenge{.message = sent, .state = {}},
                                    std::nullopt, pair.clock.now()));
  CHECK(packets(pair.actions, kEap, kEapFailure).size() == 1);
  CHECK(pair.link.refused() == EndReason::auth_bad_challenge);
}

TEST_CASE("eap relay: the time for an answer is the server's to choose",
          "[ppp][auth][rfc3579-2.6.1]") {
  Relayed pair(1000);
  const Packet identity = *std::exchange(pair.pending, std::nullopt);
  pair.run(pair.link.on_frame(frame(kEap, kEapResponse, identity.identifier, octets("01cc")),
                              pair.clock.now()));
  pair.run(pair.link.on_auth_result(
      model::AuthChallenge{
          .message = Server::message_of(std::byte{1}), .state = {}, .repeat_after = Seconds(20)},
      std::nullopt, pair.clock.now()));
  REQUIRE(std::exchange(pair.pending, std::nullopt));
  pair.advance(Seconds(19));
  CHECK_FALSE(pair.pending);
  pair.advance(Seconds(1));
  CHECK(pair.pending);
}

TEST_CASE("eap relay: a repeated last Response is told the verdict again", "[ppp][auth]") {
  Relayed pair(0);
  REQUIRE(pair.round());
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  const auto successes = packets(pair.actions, kEap, kEapSuccess);
  REQUIRE(successes.size() == 1);
  pair.run(pair.link.on_frame(frame(kEap, kEapResponse, successes[0].identifier, octets("01cc")),
                              pair.clock.now()));
  CHECK(packets(pair.actions, kEap, kEapSuccess).size() == 2);
}
