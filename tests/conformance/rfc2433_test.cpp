// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 2433, MS-CHAPv1 as the peer sees it. The arithmetic is in tests/unit/crypto.
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

LinkSettings ms_chap() {
  LinkSettings settings;
  settings.auth = {model::AuthMethod::kMsChap};
  return settings;
}

std::string text(const Packet& packet) {
  return {reinterpret_cast<const char*>(packet.data.data()), packet.data.size()};
}

}  // namespace

TEST_CASE("rfc2433 §2: LCP asks for CHAP with algorithm 0x80, and only when it is permitted",
          "[rfc2433-2]") {
  LinkPair pair(ms_chap());
  pair.start();
  CHECK(option(packet(pair.actions, kLcp, kConfReq).data, 3) == octets("c22380"));

  LinkPair usual;
  usual.client.wants_auth = "c22380";
  usual.start();
  usual.advance(Seconds(10));
  CHECK(ended(usual.actions) == EndReason::auth_no_common_method);
  for (const Packet& request : packets(usual.actions, kLcp, kConfReq))
    CHECK(option(request.data, 3) == octets("c22381"));
}

TEST_CASE("rfc2433 §3: the Challenge is 8 random octets", "[rfc2433-3]") {
  LinkPair pair(ms_chap());
  pair.start();
  const Packet first = packet(pair.actions, kChap, kChallenge);
  CHECK(first.data.at(0) == std::byte{8});
  CHECK(text(first).substr(9) == "pns");
  pair.actions.clear();
  pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
  CHECK(packet(pair.actions, kChap, kChallenge).data != first.data);
}

TEST_CASE("rfc2433 §4: the NT response is judged", "[rfc2433-4]") {
  LinkPair pair(ms_chap());
  pair.start();
  CHECK(pair.client.authenticated);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.link.status().mppe == "mppe128-stateless");
}

TEST_CASE("rfc2433 §4: an LM response is never accepted", "[rfc2433-4]") {
  // The flag says which response counts: anything but 1 asks for the LM response.
  const std::string flag = GENERATE(std::string("00"), std::string("02"));
  LinkPair pair(ms_chap());
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  const Packet challenge = packet(pair.actions, kChap, kChallenge);
  const auto nt =
      crypto::challenge_response(std::span<const std::byte, 8>(challenge.data.data() + 1, 8),
                                 crypto::nt_password_hash("clientPass").value());
  pair.run(pair.link.on_frame(
      frame(kChap, kResponse, challenge.identifier,
            concat({octets("31"), Octets(24), to_octets(nt), octets(flag), as_octets("User")})),
      pair.clock.now()));
  CHECK(find<model::Authenticate>(pair.actions) == nullptr);
  CHECK(text(packet(pair.actions, kChap, kFailure)).starts_with("E=691 R=0 C="));
  CHECK(ended(pair.actions) == EndReason::auth_lm_response);
}

TEST_CASE("rfc2433 §4: a Response that is not 49 octets fails", "[rfc2433-4][conformance-44]") {
  const int length = GENERATE(0, 16, 48, 50, 255);
  LinkPair pair(ms_chap());
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.start();
  const Octets size{static_cast<std::byte>(length)};
  pair.run(pair.link.on_frame(
      frame(kChap, kResponse, packet(pair.actions, kChap, kChallenge).identifier,
            concat({size, Octets(static_cast<std::size_t>(length)), as_octets("User")})),
      pair.clock.now()));
  CHECK(ended(pair.actions) == EndReason::auth_malformed);
}

TEST_CASE("rfc2433 §6: Failure says E, R, C with 16 digits and V=2", "[rfc2433-6]") {
  LinkSettings settings = ms_chap();
  settings.auth_retries = 0;
  LinkPair pair(settings);
  pair.client.password = "wrong";
  pair.start();
  const std::string message = text(packet(pair.actions, kChap, kFailure));
  REQUIRE(message.size() == 12 + 16 + 4);
  CHECK(message.substr(0, 12) == "E=691 R=0 C=");
  CHECK(message.substr(12, 16).find_first_not_of("0123456789ABCDEF") == std::string::npos);
  CHECK(message.substr(28) == " V=2");
}

TEST_CASE("rfc2433 §6: with R=1 the new challenge is what the next Response answers",
          "[rfc2433-6]") {
  LinkPair pair(ms_chap());
  pair.client.password = "wrong";
  pair.client.retry_passwords = {"clientPass"};
  pair.start();
  CHECK(pair.client.failure.starts_with("E=691 R=1 C="));
  CHECK(pair.link.phase() == LinkPhase::kOpen);
  const auto failure = packet(pair.actions, kChap, kFailure);
  CHECK(packet(pair.actions, kChap, kSuccess).identifier ==
        static_cast<std::uint8_t>(failure.identifier + 1));
}

TEST_CASE("rfc2433 §7, §8: Change-Password packets of version 1 and 2 are ignored",
          "[rfc2433-7][rfc2433-8]") {
  LinkPair pair(ms_chap());
  pair.client.password = "wrong";
  pair.drop_from_client = [](const Octets& f) {
    const Packet p = parse(f).value();
    return p.protocol == kLcp && p.code == kTermReq;
  };
  pair.start();
  const auto id = packet(pair.actions, kChap, kFailure).identifier;
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{5, 6, 7})
    for (const int step : {0, 1})
      CHECK(pair.link
                .on_frame(frame(kChap, code, static_cast<std::uint8_t>(id + step), Octets(1068)),
                          pair.clock.now())
                .empty());
}
