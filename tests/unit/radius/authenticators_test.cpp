// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/authenticators.hpp"

#include <catch2/catch.hpp>

#include "pns/crypto/hash.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::radius;
using pns::test::hex;
using pns::test::octets;
using pns::test::Octets;
using Policy = MessageAuthenticatorPolicy;

namespace {

const Octets kSecret = test::to_octets(as_octets("xyzzy5461"));  // of the examples in RFC 2865 §7

Authenticator authenticator(std::string_view text) {
  const Octets all = octets(text);
  Authenticator out{};
  std::copy(all.begin(), all.end(), out.begin());
  return out;
}

// "ok", or the error's name.
std::string judged(const std::expected<void, VerifyError>& result) {
  return result ? "ok" : std::string(name_of(result.error()));
}

std::string response_judged(Bytes datagram, const SentRequest& request, Policy policy,
                            Bytes secret = kSecret) {
  const auto packet = PacketView::parse(datagram);
  REQUIRE(packet);
  return judged(verify_response(*packet, request, secret, policy));
}

std::string request_judged(Bytes datagram, Policy policy, Bytes secret = kSecret) {
  const auto packet = PacketView::parse(datagram);
  REQUIRE(packet);
  return judged(verify_request(*packet, secret, policy));
}

// Accepts for this request, which were signed by Python's hashlib and hmac.
const SentRequest kSent{.code = Code::kAccessRequest,
                        .authenticator = authenticator("0f403f9473978057bd83d5cb98f4227a")};
const Octets kAcceptFirst = octets(
    "02000031 a5d04f3f9acaed8246d4fc955befb498 5012 90bab378d345fcb53147e9cc9eda489f"
    "060600000002 1905636c73");
const Octets kAcceptLast = octets(
    "02000031 da84bb7aee49864cae8db91a86c1e230 060600000002 1905636c73"
    "5012 b7651c6637a2f4a074cc20a09aae1c41");
const Octets kAcceptWithout =
    octets("0200001f f4e680228b18fc439f399c86dabdf8c0 060600000002 1905636c73");

}  // namespace

TEST_CASE("radius: the responses of RFC 2865 §7 are verified", "[radius][rfc2865-7]") {
  struct Example {
    const char* request;
    const char* response;
  };
  const Example examples[] = {
      {"0f403f9473978057bd83d5cb98f4227a",  // §7.1
       "02000026 86fe220e7624ba2a1005f6bf9b55e0b2 060600000001 0f0600000000 0e06c0a80103"},
      {"2aee86f08d0d55969ca5978e0d3367a2",  // §7.2
       "02010038 15efbc7dab26cfa3dc34d9c03c8601a4 060600000002 070600000001 0806fffffffe"
       "0a0600000002 0d0600000001 0c06000005dc"},
      {"f3a47a1f6a6d76710b947ab93041a039",  // §7.3
       "0b02004e 36f3c8764ae8c71157403c0c71ff9c45 1230"
       "4368616c6c656e67652033323736393433302e2020456e74657220726573706f6e73652061742070726f6d70742"
       "e"
       "180a3332373639343330"},
      {"b122556d428a13d0d6253807c457ecf0", "03030014 a42f4fca45916c4e09c8340f9e746aa0"},
  };
  for (const Example& each : examples) {
    INFO(each.response);
    const SentRequest request{.code = Code::kAccessRequest,
                              .authenticator = authenticator(each.request)};
    const Octets response = octets(each.response);
    CHECK(response_judged(response, request, Policy::kAccept) == "ok");
    CHECK(response_judged(response, request, Policy::kRequire) == "message_authenticator_missing");
    CHECK(response_judged(response, kSent, Policy::kAccept) ==
          (request.authenticator == kSent.authenticator ? "ok" : "authenticator"));
    // Signed by us, it is the same.
    Octets again = response;
    std::fill(again.begin() + 4, again.begin() + 20, std::byte{0});
    sign_response(again, kSecret, request.authenticator);
    CHECK(hex(again) == hex(response));
  }
}

TEST_CASE("radius: the Status-Server of RFC 5997 §6.1 is signed and verified",
          "[radius][rfc5997-6.1]") {
  const Authenticator sent = authenticator("8a54f4686fb394c52866e302185d0623");
  PacketBuilder builder(Code::kStatusServer, 0xda, sent);
  const auto query = sign_request(builder, kSecret);
  REQUIRE(query);
  CHECK(hex(*query) ==
        "0cda00268a54f4686fb394c52866e302185d062350125a665e2e1e8411f3e243822097c84fa3");
  CHECK(request_judged(*query, Policy::kAccept) == "ok");
  CHECK(builder.authenticator() == sent);

  // Servers leave Message-Authenticator out of the answer; both policies take it.
  const Octets answer = octets("02da0014 ef0d552a4bf2d693ec2b6fe8b5411d66");
  const SentRequest request{.code = Code::kStatusServer, .authenticator = sent};
  CHECK(response_judged(answer, request, Policy::kRequire) == "ok");
  CHECK(response_judged(answer, {.code = Code::kAccessRequest, .authenticator = sent},
                        Policy::kRequire) == "message_authenticator_missing");
  Octets forged = answer;
  forged[19] ^= std::byte{1};
  CHECK(response_judged(forged, request, Policy::kRequire) == "authenticator");

  // RFC 5997 §3: a query without one is discarded.
  const Octets bare = octets("0cda0014 8a54f4686fb394c52866e302185d0623");
  CHECK(request_judged(bare, Policy::kAccept) == "message_authenticator_missing");
}

TEST_CASE("radius: the Status-Server of RFC 5997 §6.2 is verified", "[radius][rfc5997-6.2]") {
  const Octets query =
      octets("0cb30026 925f6b66dd5fed571fcb1db7ad388260 5012 e8d6eabda910875cd91fdade26367858");
  CHECK(request_judged(query, Policy::kRequire) == "ok");
}

TEST_CASE("radius: a Message-Authenticator is verified wherever it stands",
          "[radius][rfc3579-3.2]") {
  for (const Octets& accept : {kAcceptFirst, kAcceptLast}) {
    CHECK(response_judged(accept, kSent, Policy::kRequire) == "ok");
    CHECK(response_judged(accept, kSent, Policy::kAccept) == "ok");
  }
  CHECK(response_judged(kAcceptWithout, kSent, Policy::kAccept) == "ok");
  CHECK(response_judged(kAcceptWithout, kSent, Policy::kRequire) ==
        "message_authenticator_missing");

  PacketBuilder builder(Code::kAccessAccept, 0);
  builder.add_u32(attribute::kServiceType, 2);
  builder.add_text(attribute::kClass, "cls");
  CHECK(hex(*sign_response(builder, kSecret, kSent.authenticator)) == hex(kAcceptFirst));
}

TEST_CASE("radius: a Message-Authenticator that is wrong is refused under both policies",
          "[radius][rfc3579-3.2]") {
  for (const Octets& accept : {kAcceptFirst, kAcceptLast}) {
    // The Response Authenticator is right: a chosen-prefix collision makes it so (CVE-2024-3596).
    Octets forged = accept;
    const auto value = PacketView::parse(forged)->find_first(attribute::kMessageAuthenticator);
    forged[static_cast<std::size_t>(value->data() - forged.data())] ^= std::byte{1};
    const auto authenticator = crypto::md5(
        {Bytes(forged).first(4), kSent.authenticator, Bytes(forged).subspan(20), kSecret});
    std::copy(authenticator.begin(), authenticator.end(), forged.begin() + 4);
    for (const Policy policy : {Policy::kRequire, Policy::kAccept})
      CHECK(response_judged(forged, kSent, policy) == "message_authenticator_wrong");
  }
}

TEST_CASE("radius: an answer with several, or short, Message-Authenticators is refused",
          "[radius][rfc3579-3.2]") {
  for (const std::size_t size : {15, 17, 0}) {
    PacketBuilder builder(Code::kAccessAccept, 0, {}, PacketBuilder::MessageAuthenticator::kNone);
    builder.add(attribute::kMessageAuthenticator, Octets(size));
    if (size == 0) {
      builder.add(attribute::kMessageAuthenticator, Octets(16));
      builder.add(attribute::kMessageAuthenticator, Octets(16));
    }
    const auto packet = sign_response(builder, kSecret, kSent.authenticator);
    CHECK(response_judged(*packet, kSent, Policy::kAccept) == "message_authenticator_malformed");
  }
}

TEST_CASE("radius: EAP-Message wants a Message-Authenticator under either policy",
          "[radius][rfc3579-3.1]") {
  PacketBuilder accept(Code::kAccessAccept, 0, {}, PacketBuilder::MessageAuthenticator::kNone);
  accept.add_eap_message(octets("03070004"));
  CHECK(response_judged(*sign_response(accept, kSecret, kSent.authenticator), kSent,
                        Policy::kAccept) == "message_authenticator_missing");
  PacketBuilder request(Code::kAccessRequest, 0, kSent.authenticator,
                        PacketBuilder::MessageAuthenticator::kNone);
  request.add_eap_message(octets("02070005 01"));
  CHECK(request_judged(*sign_request(request, kSecret), Policy::kAccept) ==
        "message_authenticator_missing");
}

TEST_CASE("radius: each changed octet of an answer is noticed", "[radius][rfc2865-3]") {
  for (const Octets& accept : {kAcceptFirst, kAcceptLast}) {
    for (std::size_t at = 0; at < accept.size(); ++at) {
      Octets changed = accept;
      changed[at] ^= std::byte{0x10};
      const auto packet = PacketView::parse(changed);
      if (packet) CHECK_FALSE(verify_response(*packet, kSent, kSecret, Policy::kAccept));
    }
  }
  CHECK(response_judged(kAcceptFirst, kSent, Policy::kRequire, octets("00")) == "authenticator");
}

TEST_CASE("radius: an answer is one of the request's kind", "[radius][rfc2865-4]") {
  const Code all[] = {Code::kAccessRequest,
                      Code::kAccessAccept,
                      Code::kAccessReject,
                      Code::kAccountingRequest,
                      Code::kAccountingResponse,
                      Code::kAccessChallenge,
                      Code::kStatusServer,
                      Code::kDisconnectRequest,
                      Code::kDisconnectAck,
                      Code::kDisconnectNak,
                      Code::kCoaRequest,
                      Code::kCoaAck,
                      Code::kCoaNak,
                      static_cast<Code>(99)};
  std::size_t pairs = 0;
  for (const Code request : all)
    for (const Code response : all) pairs += is_answer(request, response) ? 1 : 0;
  CHECK(pairs == 3 + 1 + 2 + 2 + 2);
  CHECK(response_judged(kAcceptFirst,
                        {.code = Code::kAccountingRequest, .authenticator = kSent.authenticator},
                        Policy::kAccept) == "wrong_code");
}

TEST_CASE("radius: requests whose Authenticator is computed are signed and verified",
          "[radius][rfc2866-3][rfc5176-2.3]") {
  // Signed by Python's hashlib and hmac: Message-Authenticator, Acct-Session-Id "0A".
  struct Example {
    Code code;
    const char* octets;
  };
  const Example examples[] = {
      {Code::kAccountingRequest,
       "0407002a c6fde952b4d0d28ff4fd569b74ea99cb 5012fa9c6420702c71421bbda6bcfec73614 2c043041"},
      {Code::kDisconnectRequest,
       "2807002a 800afa7d15453080b3daf58387f4b168 5012fb8ce286071cf6a71f33823da25e1be9 2c043041"},
      {Code::kCoaRequest,
       "2b07002a 9be0b1e5031c0b8cb0c03f78a8768ab7 50129be34ff0f826edd1642a2850ae9053fd 2c043041"},
  };
  for (const Example& each : examples) {
    PacketBuilder builder(each.code, 7);
    builder.add_text(attribute::kAcctSessionId, "0A");
    const auto packet = sign_request(builder, kSecret);
    REQUIRE(packet);
    CHECK(hex(*packet) == hex(octets(each.octets)));
    CHECK(request_judged(*packet, Policy::kRequire) == "ok");
    for (std::size_t at = 4; at < packet->size(); ++at) {
      Octets changed = test::to_octets(*packet);
      changed[at] ^= std::byte{1};
      const auto view = PacketView::parse(changed);
      if (view) CHECK(judged(verify_request(*view, kSecret, Policy::kAccept)) == "authenticator");
    }
  }
  PacketBuilder bare(Code::kCoaRequest, 7, {}, PacketBuilder::MessageAuthenticator::kNone);
  const auto packet = sign_request(bare, kSecret);
  CHECK(request_judged(*packet, Policy::kAccept) == "ok");
  CHECK(request_judged(*packet, Policy::kRequire) == "message_authenticator_missing");
  CHECK(request_judged(kAcceptFirst, Policy::kAccept) == "wrong_code");
}

TEST_CASE("radius: the answer to a CoA-Request is over the Authenticator that was computed",
          "[radius][rfc5176-2.3]") {
  PacketBuilder request(Code::kCoaRequest, 7);
  const auto sent = PacketView::parse(*sign_request(request, kSecret));
  PacketBuilder ack(Code::kCoaAck, 7);
  const auto answer = sign_response(ack, kSecret, sent->authenticator());
  CHECK(response_judged(*answer,
                        {.code = Code::kCoaRequest, .authenticator = sent->authenticator()},
                        Policy::kRequire) == "ok");
}

TEST_CASE("radius: a failed builder signs nothing", "[radius]") {
  PacketBuilder builder(Code::kAccessRequest, 1);
  builder.add(attribute::kClass, Octets(254));
  CHECK_FALSE(sign_request(builder, kSecret));
  CHECK_FALSE(sign_response(builder, kSecret, {}));
}

TEST_CASE("radius: Request Authenticators are random", "[radius][rfc2865-3]") {
  test::FakeRandom random;
  CHECK(random_authenticator(random) != random_authenticator(random));
}
