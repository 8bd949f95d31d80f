// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 1994, CHAP with MD5, and RFC 1334, PAP, as the peer sees them.
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

LinkSettings with(model::AuthMethod method) {
  LinkSettings settings;
  settings.auth = {method};
  settings.mppe = MppePolicy::kOff;
  settings.name = "pns1";
  return settings;
}
const LinkSettings kMd5 = with(model::AuthMethod::kChapMd5);
const LinkSettings kPapOnly = with(model::AuthMethod::kPap);

std::string text(const Packet& packet) {
  return {reinterpret_cast<const char*>(packet.data.data()), packet.data.size()};
}

// A link that waits for the answer to its Challenge.
struct Challenged {
  explicit Challenged(const LinkSettings& settings = kMd5) : pair(settings) {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
    pair.answer_auth = false;
    pair.start();
    challenge = packet(pair.actions, kChap, kChallenge);
  }
  model::LinkActions respond(std::uint8_t identifier, std::string_view hex_body) {
    return pair.link.on_frame(frame(kChap, kResponse, identifier, hex_body), pair.clock.now());
  }
  LinkPair pair;
  Packet challenge;
};

const std::string kDigest(32, '1');

}  // namespace

TEST_CASE("rfc1994 §3: LCP asks for CHAP with algorithm 5", "[rfc1994-3]") {
  LinkPair pair(kMd5);
  pair.start();
  CHECK(option(packet(pair.actions, kLcp, kConfReq).data, 3) == octets("c22305"));
}

TEST_CASE("rfc1994 §4.1: the Challenge is 16 octets, never the same, and our name",
          "[rfc1994-4.1][rfc1994-2.3]") {
  LinkPair pair(kMd5);
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    pair.actions.clear();
    if (i == 0)
      pair.start();
    else
      pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
    const Packet challenge = packet(pair.actions, kChap, kChallenge);
    CHECK(challenge.data.at(0) == std::byte{16});
    CHECK(text(challenge).substr(17) == "pns1");
    CHECK(seen.insert(hex(challenge.data)).second);
  }
}

TEST_CASE("rfc1994 §4.1: an unanswered Challenge is repeated, then the link ends",
          "[rfc1994-4.1]") {
  Challenged at;
  at.pair.advance(Seconds(600));
  const auto challenges = packets(at.pair.actions, kChap, kChallenge);
  CHECK(challenges.size() == 10);
  for (const Packet& challenge : challenges) CHECK(challenge == at.challenge);
  CHECK(ended(at.pair.actions) == EndReason::auth_timeout);
}

TEST_CASE("rfc1994 §4.1: only a Response with the Challenge's Identifier is an answer",
          "[rfc1994-4.1]") {
  Challenged at;
  const auto id = at.challenge.identifier;
  const TimePoint now = at.pair.clock.now();
  CHECK(at.respond(static_cast<std::uint8_t>(id + 1), "10" + kDigest + "55").empty());
  CHECK(at.respond(static_cast<std::uint8_t>(id - 1), "10" + kDigest + "55").empty());
  for (const std::uint8_t code : {kChallenge, kSuccess, kFailure})
    CHECK(at.pair.link.on_frame(frame(kChap, code, id, "10" + kDigest), now).empty());
  CHECK(at.pair.link.phase() == LinkPhase::kAuthenticate);
  const auto actions = at.respond(id, "10" + kDigest + "55736572");
  const auto* ask = find<model::Authenticate>(actions);
  REQUIRE(ask != nullptr);
  CHECK(ask->request.user == "User");
  const auto& shown = std::get<model::ChapMd5Credentials>(ask->request.credentials);
  CHECK(shown.identifier == id);
  CHECK(std::equal(shown.challenge.begin(), shown.challenge.end(), at.challenge.data.begin() + 1));
}

TEST_CASE("rfc1994 §4.1: a Value that is no MD5 digest, or a name above 256 octets, fails",
          "[rfc1994-4.1][conformance-44]") {
  const std::string body =
      GENERATE(std::string(), std::string("00"), std::string("ff"), "0f" + std::string(30, '1'),
               "11" + std::string(34, '1'), "10" + std::string(30, '1'),
               "10" + kDigest + std::string(2 * 257, '5'));
  Challenged at;
  at.pair.run(at.respond(at.challenge.identifier, body));
  CHECK(packets(at.pair.actions, kChap, kFailure).size() == 1);
  CHECK(find<model::Authenticate>(at.pair.actions) == nullptr);
  CHECK(ended(at.pair.actions) == EndReason::auth_malformed);
}

TEST_CASE("rfc1994 §4.2: Success and Failure have the Response's Identifier", "[rfc1994-4.2]") {
  const bool right = GENERATE(true, false);
  LinkPair pair(kMd5);
  if (!right) pair.client.password = "wrong";
  pair.start();
  const auto id = packet(pair.actions, kChap, kChallenge).identifier;
  CHECK(packet(pair.actions, kChap, right ? kSuccess : kFailure).identifier == id);
  CHECK(packets(pair.actions, kChap, right ? kFailure : kSuccess).empty());
  if (!right) CHECK(ended(pair.actions) == EndReason::auth_failed);
}

TEST_CASE("rfc1994 §4.2: a repeated Response is told Success again, whatever is in it",
          "[rfc1994-4.2]") {
  LinkPair pair(kMd5);
  pair.start();
  const Packet success = packet(pair.actions, kChap, kSuccess);
  const auto again = pair.link.on_frame(
      frame(kChap, kResponse, success.identifier, "10" + kDigest + "4f74686572"), pair.clock.now());
  REQUIRE(again.size() == 1);
  CHECK(packet(again, kChap, kSuccess) == success);
  CHECK(pair.link.status().user == "User");
}

TEST_CASE("rfc1994 §2: a Response to an earlier Challenge is no answer to the next",
          "[rfc1994-2][conformance-44]") {
  LinkPair pair(kMd5);
  Octets first;
  pair.drop_from_client = [&first](const Octets& f) {
    if (first.empty() && parse(f)->protocol == kChap) first = f;
    return false;
  };
  pair.start();
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  pair.actions.clear();
  pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kChap; };
  pair.run(pair.link.on_frame(frame(kLcp, kConfReq, 0x77, "0506aabbccdd"), pair.clock.now()));
  Packet replayed = parse(first).value();
  pair.run(pair.link.on_frame(frame(replayed), pair.clock.now()));
  replayed.identifier = packet(pair.actions, kChap, kChallenge).identifier;
  pair.run(pair.link.on_frame(frame(replayed), pair.clock.now()));
  CHECK(packets(pair.actions, kChap, kSuccess).empty());
  CHECK(pair.link.phase() != LinkPhase::kOpen);
}

// ---- PAP

TEST_CASE("rfc1334 §2: LCP asks for PAP without data, and the peer speaks first", "[rfc1334-2]") {
  LinkPair pair(kPapOnly);
  pair.drop_from_client = [](const Octets& f) { return parse(f)->protocol == kPap; };
  pair.start();
  CHECK(option(packet(pair.actions, kLcp, kConfReq).data, 3) == octets("c023"));
  for (const Packet& p : packets(pair.actions)) CHECK(p.protocol == kLcp);
  pair.advance(Seconds(29));
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  pair.advance(Seconds(10));
  CHECK(ended(pair.actions) == EndReason::auth_timeout);
}

TEST_CASE("rfc1334 §2.2.1: name and password are judged, and the answer has its Identifier",
          "[rfc1334-2.2.1][rfc1334-2.2.2]") {
  const bool right = GENERATE(true, false);
  LinkPair pair(kPapOnly);
  if (!right) pair.client.password = "wrong";
  pair.start();
  const Packet answer = packet(pair.actions, kPap, right ? kAuthAck : kAuthNak);
  CHECK(answer.identifier == 0x60);
  CHECK(answer.data.size() == 1 + std::to_integer<std::size_t>(answer.data.at(0)));
  CHECK((pair.link.phase() == LinkPhase::kOpen) == right);
  if (!right) CHECK(ended(pair.actions) == EndReason::auth_failed);
}

TEST_CASE("rfc1334 §2.2.1: a request that comes again gets the same answer, with its Identifier",
          "[rfc1334-2.2.1]") {
  LinkPair pair(kPapOnly);
  pair.start();
  // Another password does not change it.
  const auto again =
      pair.link.on_frame(frame(kPap, kAuthReq, 0x61, "04 55736572 01 78"), pair.clock.now());
  REQUIRE(again.size() == 1);
  CHECK(packet(again, kPap, kAuthAck).identifier == 0x61);
  CHECK(pair.link.phase() == LinkPhase::kOpen);
}

TEST_CASE("rfc1334 §2.2.1: while AAA thinks, a repeated request asks nothing", "[rfc1334-2.2.1]") {
  LinkPair pair(kPapOnly);
  pair.answer_auth = false;
  pair.start();
  CHECK(pair.link.on_frame(pair.client.pap_request(), pair.clock.now()).empty());
}

TEST_CASE("rfc1334 §2.2.1: a malformed request is refused", "[rfc1334-2.2.1]") {
  const std::string body = GENERATE(std::string(), std::string("04557365"),
                                    std::string("0455736572"), std::string("0455736572ff78"));
  LinkPair pair(kPapOnly);
  pair.drop_from_client = [](const Octets& f) { return parse(f)->protocol == kPap; };
  pair.start();
  pair.run(pair.link.on_frame(frame(kPap, kAuthReq, 1, body), pair.clock.now()));
  CHECK(packets(pair.actions, kPap, kAuthNak).size() == 1);
  CHECK(ended(pair.actions) == EndReason::auth_malformed);
}

TEST_CASE("rfc1334 §2.2: Ack and Nak from the peer, and unknown codes, are ignored",
          "[rfc1334-2.2]") {
  LinkPair pair(kPapOnly);
  pair.drop_from_client = [](const Octets& f) { return parse(f)->protocol == kPap; };
  pair.start();
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0, 2, 3, 4, 255})
    CHECK(pair.link.on_frame(frame(kPap, code, 1, "0455736572 0178"), pair.clock.now()).empty());
}
