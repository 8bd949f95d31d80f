// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 2759, MS-CHAPv2 as the peer sees it. The arithmetic is in tests/unit/crypto/mschap_test.cpp.
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

std::string text(const Packet& packet) {
  return {reinterpret_cast<const char*>(packet.data.data()), packet.data.size()};
}

}  // namespace

TEST_CASE("rfc2759 §3: LCP asks for CHAP with algorithm 0x81", "[rfc2759-3]") {
  LinkPair pair;
  pair.start();
  CHECK(option(packet(pair.actions, kLcp, kConfReq).data, 3) == octets("c22381"));
}

TEST_CASE("rfc2759 §3: the Challenge is 16 random octets and our name", "[rfc2759-3]") {
  LinkSettings settings;
  settings.name = "pns1";
  LinkPair pair(settings);
  pair.start();
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  REQUIRE(challenge.data.size() == 1 + 16 + 4);
  CHECK(challenge.data[0] == std::byte{16});
  CHECK(text(challenge).substr(17) == "pns1");
}

TEST_CASE("rfc2759 §3: a challenge is never used twice", "[rfc2759-3]") {
  std::set<std::string> seen;
  LinkPair pair;
  for (int i = 0; i < 20; ++i) {
    pair.actions.clear();
    if (i == 0)
      pair.start();
    else
      pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
    REQUIRE(pair.link.phase() == LinkPhase::kOpen);
    CHECK(seen.insert(hex(packet(pair.actions, kChap, kChallenge).data)).second);
  }
}

TEST_CASE("rfc2759 §3: an unanswered Challenge is repeated as it was, then given up",
          "[rfc2759-3][rfc1994-4.1]") {
  LinkPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  pair.advance(Seconds(600));
  const auto challenges = packets(pair.actions, kChap, kChallenge);
  CHECK(challenges.size() == 10);
  for (const Packet& challenge : challenges) CHECK(challenge == challenges[0]);
  CHECK(ended(pair.actions) == EndReason::auth_timeout);
}

TEST_CASE("rfc2759 §4: AAA is asked with what the Response carried", "[rfc2759-4]") {
  LinkSettings settings;
  settings.peer = Ipv4Address(0xc6336401);
  LinkPair pair(settings);
  pair.client.user = "EXAMPLE\\User";
  pair.answer_auth = false;
  pair.start();
  REQUIRE(pair.asked.has_value());
  CHECK(pair.asked->user == "EXAMPLE\\User");
  CHECK(pair.asked->peer == Ipv4Address(0xc6336401));
  const auto& credentials = std::get<model::MsChapV2Credentials>(pair.asked->credentials);
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  CHECK(std::equal(credentials.authenticator_challenge.begin(),
                   credentials.authenticator_challenge.end(), challenge.data.begin() + 1));
  for (const std::byte octet : credentials.peer_challenge) CHECK(octet == std::byte{0x77});
}

TEST_CASE("rfc2759 §5: Success carries S= with 40 digits and a message the client can check",
          "[rfc2759-5]") {
  LinkPair pair;
  pair.start();
  const Packet success = packet(pair.actions, kChap, kSuccess);
  CHECK(success.identifier == packet(pair.actions, kChap, kChallenge).identifier);
  const std::string message = text(success);
  CHECK(message.starts_with("S="));
  CHECK(message.substr(2, 40).find_first_not_of("0123456789ABCDEF") == std::string::npos);
  CHECK(message.substr(42) == " M=OK");
  CHECK(pair.client.authenticated);
}

TEST_CASE("rfc2759 §5: the domain part is not hashed", "[rfc2759-5][wire-facts-23]") {
  LinkPair pair;
  pair.client.user = "EXAMPLE\\User";
  pair.start();
  CHECK(pair.client.authenticated);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("rfc2759 §6: Failure says E, R, C, V and M; the challenge in it is fresh",
          "[rfc2759-6]") {
  LinkSettings settings;
  settings.auth_retries = 0;
  LinkPair pair(settings);
  pair.client.password = "wrong";
  pair.start();
  const std::string message = text(packet(pair.actions, kChap, kFailure));
  REQUIRE(message.size() > 12 + 32 + 8);
  CHECK(message.substr(0, 12) == "E=691 R=0 C=");
  const std::string challenge = message.substr(12, 32);
  CHECK(challenge.find_first_not_of("0123456789ABCDEF") == std::string::npos);
  CHECK(message.substr(44).starts_with(" V=3 M="));
  const Packet asked = packet(pair.actions, kChap, kChallenge);
  CHECK(octets(challenge) != Octets(asked.data.begin() + 1, asked.data.begin() + 17));
}

TEST_CASE("rfc2759 §6: AAA chooses the error code", "[rfc2759-6]") {
  LinkPair pair;
  pair.answer_auth = false;
  pair.start();
  pair.run(pair.link.on_auth_result(std::unexpected(model::AuthDenial{EndReason::auth_failed, 649}),
                                    {}, pair.clock.now()));
  CHECK(pair.client.failure.starts_with("E=649 R=0 C="));
}

TEST_CASE("rfc1994 §4.2: a repeated Response is told the same again and decides nothing",
          "[rfc1994-4.2][conformance-44]") {
  LinkPair pair;
  SECTION("while AAA thinks: silence") {
    pair.answer_auth = false;
    pair.start();
    const Packet challenge = packet(pair.actions, kChap, kChallenge);
    CHECK(pair.link
              .on_frame(frame(kChap, kResponse, challenge.identifier,
                              concat({octets("31"), Octets(49), as_octets("Other")})),
                        pair.clock.now())
              .empty());
    CHECK(pair.asked->user == "User");
  }
  SECTION("after Success") {
    pair.start();
    const Packet success = packet(pair.actions, kChap, kSuccess);
    // Not even the right one: nothing in it is looked at.
    const auto again =
        pair.link.on_frame(frame(kChap, kResponse, success.identifier,
                                 concat({octets("31"), Octets(49), as_octets("Other")})),
                           pair.clock.now());
    REQUIRE(again.size() == 1);
    CHECK(packet(again, kChap, kSuccess) == success);
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.status().user == "User");
  }
}

TEST_CASE("rfc2759 §7: a password change that nobody asked for is ignored", "[rfc2759-7]") {
  LinkPair pair;
  pair.start();
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  CHECK(pair.link.on_frame(frame(kChap, 7, challenge.identifier, Octets(582)), pair.clock.now())
            .empty());
}
