// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/local_authenticator.hpp"

#include <catch2/catch.hpp>

#include "controlplane/aaa/accounting.hpp"
#include "pns/crypto/mschap.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::aaa;
using pns::test::FakeRandom;
using pns::test::hex;
using pns::test::octets;

namespace {

LocalUser user(std::string name, std::string_view password) {
  LocalUser out;
  out.name = std::move(name);
  out.nt_hash = crypto::nt_password_hash(password).value();
  return out;
}

template <std::size_t N>
void set(std::array<std::byte, N>& field, std::string_view text) {
  const auto data = octets(text);
  REQUIRE(data.size() == N);
  std::copy(data.begin(), data.end(), field.begin());
}

// The exchange of RFC 2759 §9.2, under any user name.
model::AuthRequest rfc_request(std::string name = "User") {
  model::MsChapV2Credentials credentials;
  set(credentials.authenticator_challenge, "5B5D7C7D7B3F2F3E3C2C602132262628");
  set(credentials.peer_challenge, "21402324255E262A28295F2B3A337C7E");
  set(credentials.nt_response, "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
  return {.user = std::move(name), .credentials = credentials, .peer = {}};
}

}  // namespace

TEST_CASE("local users: the exchange of RFC 2759 is accepted, with keys of RFC 3079",
          "[aaa][rfc2759-9.2][rfc3079-3.5.3]") {
  FakeRandom random;
  LocalUser account = user("User", "clientPass");
  account.address = Ipv4Address(0x0a000005);
  account.pool = "gold";
  account.rate_bits_per_second = 1'000'000;
  account.groups = {"staff"};
  LocalAuthenticator authenticator({account}, random);

  int answers = 0;
  authenticator.authenticate(rfc_request(), [&answers](model::AuthResult result) {
    ++answers;
    REQUIRE(result.has_value());
    CHECK(result->user == "User");
    CHECK(result->method == model::AuthMethod::kMsChapV2);
    CHECK(result->authenticator_response == "S=407A5589115FD0D6209F510FE9C04566932CDA56");
    REQUIRE(result->mppe.has_value());
    CHECK(hex(result->mppe->send.bytes()) == "8b7cdc149b993a1ba118cb153f56dccb");
    CHECK_FALSE(result->mppe->send == result->mppe->receive);
    CHECK(result->address == Ipv4Address(0x0a000005));
    CHECK(result->pool == "gold");
    CHECK(result->rate_bits_per_second == 1'000'000u);
    CHECK(result->groups == std::vector<std::string>{"staff"});
  });
  CHECK(answers == 1);
}

TEST_CASE("local users: DOMAIN\\User is User", "[aaa][wire-facts-23]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "clientPass")}, random);
  const auto result = authenticator.decide(rfc_request("EXAMPLE\\User"));
  REQUIRE(result.has_value());
  CHECK(result->user == "User");
}

TEST_CASE("local users: a name with a domain in the file wins over the bare one", "[aaa]") {
  FakeRandom random;
  LocalAuthenticator authenticator(
      {user("User", "something else"), user("EXAMPLE\\User", "clientPass")}, random);
  CHECK(authenticator.decide(rfc_request("EXAMPLE\\User"))->user == "EXAMPLE\\User");
  CHECK_FALSE(authenticator.decide(rfc_request("OTHER\\User")).has_value());
}

TEST_CASE("local users: wrong password and unknown user get the same answer",
          "[aaa][conformance-47]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "other"), user("Peter", "clientPass")}, random);
  const auto wrong = authenticator.decide(rfc_request("User"));
  const auto unknown = authenticator.decide(rfc_request("Nobody"));
  const auto empty = authenticator.decide(rfc_request(""));
  for (const auto& result : {wrong, unknown, empty}) {
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().reason == EndReason::auth_failed);
    CHECK(result.error().ms_chap_error == 691);
  }
}

TEST_CASE("local users: no octet of the response may differ", "[aaa]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "clientPass")}, random);
  for (std::size_t i = 0; i < 24; ++i) {
    auto request = rfc_request();
    std::get<model::MsChapV2Credentials>(request.credentials).nt_response[i] ^= std::byte{1};
    CHECK_FALSE(authenticator.decide(request).has_value());
  }
  for (std::size_t i = 0; i < 16; ++i) {
    auto request = rfc_request();
    std::get<model::MsChapV2Credentials>(request.credentials).peer_challenge[i] ^= std::byte{1};
    CHECK_FALSE(authenticator.decide(request).has_value());
  }
}

TEST_CASE("local users: a reload replaces all of them", "[aaa]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "clientPass")}, random);
  authenticator.replace_users({user("Peter", "x")});
  CHECK(authenticator.user_count() == 1);
  CHECK_FALSE(authenticator.decide(rfc_request()).has_value());
  authenticator.replace_users({});
  CHECK(authenticator.user_count() == 0);
  CHECK_FALSE(authenticator.decide(rfc_request()).has_value());
}

TEST_CASE("accounting: a server without accounts takes every record", "[aaa]") {
  NullAccounting accounting;
  accounting.start({});
  accounting.interim({}, {});
  accounting.stop({}, {}, EndReason::idle_timeout);
  SUCCEED();
}
