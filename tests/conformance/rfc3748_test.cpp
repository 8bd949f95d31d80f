// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3748, EAP as the peer sees it, with MD5-Challenge (§5.4) and EAP-MSCHAPv2
// (draft-kamath-pppext-eap-mschapv2).
#include <catch2/catch.hpp>

#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

LinkSettings eap(std::vector<EapMethod> methods = {EapMethod::kMsChapV2, EapMethod::kMd5}) {
  LinkSettings settings;
  settings.auth = {model::AuthMethod::kEap};
  settings.eap = std::move(methods);
  settings.mppe = MppePolicy::kPrefer;
  return settings;
}

// EAP packets are answered by hand; LCP by the client.
struct Hand {
  explicit Hand(const LinkSettings& settings = eap()) : pair(settings) {
    pair.drop_to_client = [](const Octets& f) { return parse(f)->protocol == kEap; };
    pair.start();
    request = packets(pair.actions, kEap, kEapRequest).back();
  }
  // The link's actions upon a Response; `request` is the latest Request.
  model::LinkActions respond(std::string_view data_hex) {
    return respond_as(request.identifier, data_hex);
  }
  model::LinkActions respond_as(std::uint8_t identifier, std::string_view data_hex) {
    pair.actions.clear();
    pair.run(pair.link.on_frame(frame(kEap, kEapResponse, identifier, data_hex), pair.clock.now()));
    const auto requests = packets(pair.actions, kEap, kEapRequest);
    if (!requests.empty()) request = requests.back();
    return pair.actions;
  }
  [[nodiscard]] std::uint8_t type() const {
    return std::to_integer<std::uint8_t>(request.data.at(0));
  }
  LinkPair pair;
  Packet request;
};

}  // namespace

TEST_CASE("rfc3748 §2: LCP asks for EAP, and Identity is asked for first", "[rfc3748-2]") {
  Hand at;
  CHECK(option(packet(at.pair.actions, kLcp, kConfReq).data, 3) == octets("c227"));
  CHECK(at.request.data == octets("01"));
}

TEST_CASE("rfc3748 §4.1: each new Request has a new Identifier, a repeated one keeps it",
          "[rfc3748-4.1]") {
  Hand at;
  const Packet identity = at.request;
  at.pair.actions.clear();
  at.pair.advance(Seconds(1));
  CHECK(packet(at.pair.actions, kEap, kEapRequest) == identity);
  at.respond("0155736572");
  CHECK(at.request.identifier != identity.identifier);
}

TEST_CASE("rfc3748 §4.3: an unanswered Request is repeated, then the link ends", "[rfc3748-4.3]") {
  Hand at;
  at.pair.actions.clear();
  at.pair.advance(Seconds(600));
  CHECK(packets(at.pair.actions, kEap, kEapRequest).size() == 9);
  CHECK(packets(at.pair.actions, kEap, kEapFailure).size() == 1);
  CHECK(ended(at.pair.actions) == EndReason::auth_timeout);
}

TEST_CASE("rfc3748 §4.1: a Response to another Request, or of another type, is discarded",
          "[rfc3748-4.1][conformance-44]") {
  Hand at;
  const auto id = at.request.identifier;
  CHECK(at.respond_as(static_cast<std::uint8_t>(id + 1), "0155736572").empty());
  CHECK(at.respond("").empty());
  CHECK(at.respond("0455736572").empty());
  CHECK(at.respond("0200").empty());  // Notification
  CHECK(at.respond("0304").empty());  // Identity cannot be refused (§5.1)
  at.respond("0155736572");
  CHECK(at.respond_as(id, "0155736572").empty());  // the old Response once more
  CHECK(at.respond("0200").empty());
  CHECK(at.pair.link.phase() == LinkPhase::kAuthenticate);
}

TEST_CASE("rfc3748 §4: Requests, Success and Failure from the peer are ignored",
          "[rfc3748-4][conformance-44]") {
  Hand at;
  for (const std::uint8_t code : std::initializer_list<std::uint8_t>{0, 1, 3, 4, 5, 255})
    CHECK(at.pair.link
              .on_frame(frame(kEap, code, at.request.identifier, "0155736572"), at.pair.clock.now())
              .empty());
}

TEST_CASE("rfc3748 §4.2: Success and Failure have the Identifier of the last Response and no data",
          "[rfc3748-4.2]") {
  const auto method = GENERATE(EapMethod::kMd5, EapMethod::kMsChapV2);
  const bool right = GENERATE(true, false);
  LinkPair pair(eap({method}));
  if (!right) pair.client.password = "wrong";
  pair.start();
  const Packet verdict = packet(pair.actions, kEap, right ? kEapSuccess : kEapFailure);
  CHECK(verdict.data.empty());
  CHECK(verdict.identifier == packets(pair.actions, kEap, kEapRequest).back().identifier);
  CHECK((pair.link.phase() == LinkPhase::kOpen) == right);
}

TEST_CASE("rfc3748 §4.2: the last Response, repeated, is told the verdict again", "[rfc3748-4.2]") {
  LinkPair pair(eap({EapMethod::kMd5}));
  pair.start();
  const Packet success = packet(pair.actions, kEap, kEapSuccess);
  const auto again =
      pair.link.on_frame(frame(kEap, kEapResponse, success.identifier, "0400"), pair.clock.now());
  REQUIRE(again.size() == 1);
  CHECK(packet(again, kEap, kEapSuccess) == success);
}

TEST_CASE("rfc3748 §5.1: an identity of 256 octets is taken, a longer one is not",
          "[rfc3748-5.1][conformance-45]") {
  const std::size_t length = GENERATE(std::size_t{0}, std::size_t{256}, std::size_t{257});
  Hand at;
  const auto actions = at.respond("01" + std::string(2 * length, '5'));
  CHECK(packets(actions, kEap, kEapRequest).size() == (length <= 256 ? 1 : 0));
  if (length > 256) CHECK(ended(actions) == EndReason::auth_malformed);
}

TEST_CASE("rfc3748 §5.3.1: methods are offered in order, and a Nak chooses what is permitted",
          "[rfc3748-5.3.1]") {
  Hand at;
  at.respond("0155736572");
  CHECK(at.type() == 26);
  SECTION("another that is permitted") {
    at.respond("030d04");
    CHECK(at.type() == 4);
    at.respond("031a");  // what was refused is not offered again
    CHECK(ended(at.pair.actions) == EndReason::auth_no_common_method);
  }
  SECTION("none, or what is not permitted") {
    const std::string nak = GENERATE(std::string("03"), std::string("0300"), std::string("030d15"),
                                     std::string("fe000000000000003"
                                                 "00000000d"));
    const auto actions = at.respond(nak);
    CHECK(packets(actions, kEap, kEapFailure).size() == 1);
    CHECK(ended(actions) == EndReason::auth_no_common_method);
  }
}

TEST_CASE("rfc3748 §5.3.1: a method that has begun cannot be refused", "[rfc3748-5.3.1]") {
  LinkPair pair(eap());
  pair.client.password = "wrong";
  pair.drop_from_client = [](const Octets& f) { return parse(f)->data == octets("1a04"); };
  pair.start();
  const auto id = packets(pair.actions, kEap, kEapRequest).back().identifier;
  CHECK(pair.link.on_frame(frame(kEap, kEapResponse, id, "0304"), pair.clock.now()).empty());
}

TEST_CASE("rfc3748 §5.4: MD5-Challenge asks with 16 octets and judges the identity's account",
          "[rfc3748-5.4]") {
  Hand at(eap({EapMethod::kMd5}));
  at.pair.answer_auth = false;
  at.respond("0155736572");
  REQUIRE(at.request.data.size() == 1 + 1 + 16 + 3);
  CHECK(at.request.data[1] == std::byte{16});
  const auto actions = at.respond("0410" + std::string(32, '1') + "4f74686572");
  const auto* ask = find<model::Authenticate>(actions);
  REQUIRE(ask != nullptr);
  CHECK(ask->request.user == "User");
  CHECK(std::get<model::ChapMd5Credentials>(ask->request.credentials).identifier ==
        at.request.identifier);
}

TEST_CASE("rfc3748 §5.4: a malformed MD5-Challenge Response fails", "[rfc3748-5.4]") {
  const std::string body =
      GENERATE(std::string("04"), std::string("0400"), "040f" + std::string(30, '1'),
               "0411" + std::string(34, '1'), "0410" + std::string(30, '1'),
               "0410" + std::string(32, '1') + std::string(2 * 257, '5'));
  Hand at(eap({EapMethod::kMd5}));
  at.respond("0155736572");
  CHECK(ended(at.respond(body)) == EndReason::auth_malformed);
}

// ---- EAP-MSCHAPv2

TEST_CASE("eap-mschapv2 §2.1: the Challenge carries 16 octets and lengths that agree",
          "[eap-mschapv2-2.1]") {
  Hand at;
  at.respond("0155736572");
  const Octets& data = at.request.data;
  REQUIRE(data.size() == 1 + 4 + 1 + 16 + 3);
  CHECK(hex(Bytes(data).first(2)) == "1a01");
  CHECK(data[2] == static_cast<std::byte>(at.request.identifier));
  CHECK(hex(Bytes(data).subspan(3, 3)) == "001810");
}

TEST_CASE("eap-mschapv2 §2.3, §2.4: the network opens only after the peer confirms Success",
          "[eap-mschapv2-2.3]") {
  LinkPair pair(eap());
  pair.drop_from_client = [](const Octets& f) { return parse(f)->data == octets("1a03"); };
  pair.start();
  const Packet success = packets(pair.actions, kEap, kEapRequest).back();
  CHECK(success.data.at(1) == std::byte{3});
  CHECK(pair.link.phase() == LinkPhase::kAuthenticate);
  CHECK(packets(pair.actions, kEap, kEapSuccess).empty());
  SECTION("it does") {
    pair.run(pair.link.on_frame(frame(kEap, kEapResponse, success.identifier, "1a03"),
                                pair.clock.now()));
    CHECK(pair.link.phase() == LinkPhase::kOpen);
    CHECK(pair.link.status().mppe == "mppe128-stateless");
  }
  SECTION("it found our proof wrong") {
    pair.run(pair.link.on_frame(frame(kEap, kEapResponse, success.identifier, "1a04"),
                                pair.clock.now()));
    CHECK(ended(pair.actions) == EndReason::auth_failed);
  }
  SECTION("it goes silent") {
    pair.advance(Seconds(60));
    CHECK(ended(pair.actions) == EndReason::auth_timeout);
    CHECK(packets(pair.actions, kIpcp, kConfReq).empty());
  }
}

TEST_CASE("eap-mschapv2 §2.2: a Response to another MS-CHAPv2-ID, or of wrong length, is no answer",
          "[eap-mschapv2-2.2]") {
  Hand at;
  at.respond("0155736572");
  const auto id = std::to_integer<std::uint8_t>(at.request.data.at(2));
  const auto body = [](std::uint8_t ms_id, const char* length) {
    return "1a02" + hex(Octets{static_cast<std::byte>(ms_id)}) + length + "31" +
           std::string(98, '0') + "55736572";
  };
  CHECK(at.respond(body(static_cast<std::uint8_t>(id + 1), "003a")).empty());
  CHECK(at.respond(body(id, "0039")).empty());
  CHECK(at.respond(body(id, "ffff")).empty());
  CHECK(at.respond("1a").empty());
  CHECK(at.respond("1a03").empty());  // nothing was granted
  CHECK(at.respond("1a04").empty());
  CHECK(find<model::Authenticate>(at.respond(body(id, "003a"))) != nullptr);
}

TEST_CASE("eap-mschapv2 §2.5, §2.6: after the last Failure any answer, or silence, ends the call",
          "[eap-mschapv2-2.5]") {
  LinkSettings settings = eap();
  settings.auth_retries = 0;
  LinkPair pair(settings);
  pair.client.password = "wrong";
  const bool silent = GENERATE(true, false);
  if (silent)
    pair.drop_from_client = [](const Octets& f) { return parse(f)->data == octets("1a04"); };
  pair.start();
  CHECK(pair.client.failure.starts_with("E=691 R=0 C="));
  if (silent) pair.advance(Seconds(60));
  CHECK(packets(pair.actions, kEap, kEapFailure).size() == 1);
  CHECK(ended(pair.actions) == EndReason::auth_failed);
}
