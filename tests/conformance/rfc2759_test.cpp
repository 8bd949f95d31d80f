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
  LinkPair pair;
  pair.client.user = "EXAMPLE\\User";
  pair.answer_auth = false;
  pair.start();
  REQUIRE(pair.asked.has_value());
  CHECK(pair.asked->user == "EXAMPLE\\User");
  CHECK(pair.asked->peer == LinkPair::kPeer);
  const auto& credentials = std::get<model::MsChapV2Credentials>(pair.asked->credentials);
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  CHECK(std::equal(credentials.authenticator_challenge.begin(),
                   credentials.authenticator_challenge.end(), challenge.data.begin() + 1));
  for (const std::byte octet : credentials.peer_challenge) CHECK(octet == std::byte{0x77});
}

TEST_CASE("rfc2759 §4: a Response whose Reserved or Flags are not zero fails", "[rfc2759-4]") {
  const std::size_t at = GENERATE(std::size_t{16}, std::size_t{23}, std::size_t{48});
  LinkPair pair;
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  const auto id = packet(pair.actions, kChap, kChallenge).identifier;
  Octets value(49);
  value[at] = std::byte{1};
  pair.run(pair.link.on_frame(
      frame(kChap, kResponse, id, concat({octets("31"), value, as_octets("User")})),
      pair.clock.now()));
  CHECK(packets(pair.actions, kChap, kFailure).size() == 1);
  CHECK_FALSE(pair.asked.has_value());
  CHECK(ended(pair.actions) == EndReason::auth_malformed);
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

TEST_CASE(
    "rfc2759 §6: with R=1 the next Response answers the challenge in the Failure, with its "
    "Identifier plus one",
    "[rfc2759-6]") {
  LinkPair pair;
  pair.client.password = "wrong";
  pair.client.retry_passwords = {"clientPass"};
  pair.start();
  const Packet failure = packet(pair.actions, kChap, kFailure);
  CHECK(text(failure).starts_with("E=691 R=1 C="));
  CHECK(packet(pair.actions, kChap, kSuccess).identifier ==
        static_cast<std::uint8_t>(failure.identifier + 1));
  const auto& last = std::get<model::MsChapV2Credentials>(pair.asked->credentials);
  CHECK(to_octets(last.authenticator_challenge) == octets(text(failure).substr(12, 32)));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("rfc2759 §6: the old Response once more is told the old Failure, and costs no try",
          "[rfc2759-6][rfc1994-4.2]") {
  LinkPair pair;
  pair.client.password = "wrong";
  pair.drop_from_client = [](const Octets& f) { return parse(f)->code == kTermReq; };
  pair.start();
  const Packet failure = packet(pair.actions, kChap, kFailure);
  for (int i = 0; i < 10; ++i) {
    const auto again = pair.link.on_frame(
        frame(kChap, kResponse, failure.identifier, concat({octets("31"), Octets(49)})),
        pair.clock.now());
    REQUIRE(again.size() == 1);
    CHECK(packet(again, kChap, kFailure) == failure);
  }
  // An Identifier further on is none of ours.
  CHECK(pair.link
            .on_frame(frame(kChap, kResponse, static_cast<std::uint8_t>(failure.identifier + 2),
                            concat({octets("31"), Octets(49)})),
                      pair.clock.now())
            .empty());
}

TEST_CASE("rfc2759 §7: after 648, and only then, a Change-Password packet is taken once",
          "[rfc2759-7]") {
  aaa::LocalUser account = LinkPair::make_users()[0];
  account.password_expired = true;
  LinkPair pair;
  pair.set_account(account);
  pair.users->allow_password_changes([](const auto&, const auto&, auto done) { done(true); });
  SECTION("it is right") {
    pair.client.new_password = "newPass";
    pair.start();
    CHECK(pair.client.authenticated);
    const Packet failure = packet(pair.actions, kChap, kFailure);
    const Packet success = packet(pair.actions, kChap, kSuccess);
    CHECK(success.identifier == static_cast<std::uint8_t>(failure.identifier + 1));
    // Repeated, it is told Success again, and the password is not changed twice.
    const auto again = pair.link.on_frame(
        frame(kChap, kChangePassword, success.identifier, Octets(582)), pair.clock.now());
    REQUIRE(again.size() == 1);
    CHECK(packet(again, kChap, kSuccess) == success);
  }
  SECTION("it is of another length, or wrong") {
    const std::size_t length =
        GENERATE(std::size_t{0}, std::size_t{581}, std::size_t{582}, std::size_t{583});
    pair.start();
    const auto id = static_cast<std::uint8_t>(packet(pair.actions, kChap, kFailure).identifier + 1);
    // A Response is not what is due.
    CHECK(pair.link
              .on_frame(frame(kChap, kResponse, id, concat({octets("31"), Octets(49)})),
                        pair.clock.now())
              .empty());
    pair.run(
        pair.link.on_frame(frame(kChap, kChangePassword, id, Octets(length)), pair.clock.now()));
    pair.advance(Seconds(5));
    CHECK(packets(pair.actions, kChap, kFailure).size() == 2);
    CHECK(packets(pair.actions, kChap, kSuccess).empty());
    CHECK(ended(pair.actions) ==
          (length == 582 ? EndReason::auth_failed : EndReason::auth_malformed));
  }
}
