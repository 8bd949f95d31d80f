// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/aaa/local_authenticator.hpp"

#include <catch2/catch.hpp>

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
  account.terms.rates.upstream.bits_per_second = 1'000'000;
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
    CHECK(result->terms.rates.upstream.bits_per_second == 1'000'000u);
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

TEST_CASE("local users: PAP is judged by the hash", "[aaa][rfc1334-2]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "clientPass")}, random);
  const auto decide = [&](const char* name, const char* password) {
    return authenticator.decide(
        {.user = name, .credentials = model::PapCredentials{SecretText(password)}, .peer = {}});
  };
  const auto right = decide("EXAMPLE\\User", "clientPass");
  REQUIRE(right.has_value());
  CHECK(right->method == model::AuthMethod::kPap);
  CHECK_FALSE(right->mppe.has_value());
  for (const char* wrong : {"clientpass", "", "clientPass ", "\xff"}) {
    REQUIRE_FALSE(decide("User", wrong).has_value());
    CHECK(decide("User", wrong).error().reason == EndReason::auth_failed);
  }
  CHECK_FALSE(decide("Nobody", "clientPass").has_value());
}

TEST_CASE("local users: CHAP with MD5 needs the password in the clear", "[aaa][rfc1994-4.1]") {
  FakeRandom random;
  LocalUser clear = user("User", "clientPass");
  clear.password = SecretText("clientPass");
  LocalAuthenticator authenticator({clear, user("Hashed", "clientPass")}, random);
  model::ChapMd5Credentials credentials{.identifier = 0x2a};
  credentials.challenge.fill(std::byte{0x33});
  // By Python: hashlib.md5(b"\x2a" + b"clientPass" + 16 * b"\x33").
  set(credentials.response, "95d5b26845e6d256d43b81c8ea6d9c2b");
  const auto decide = [&](const char* name) {
    return authenticator.decide({.user = name, .credentials = credentials, .peer = {}});
  };
  CHECK(decide("User").has_value());
  CHECK_FALSE(decide("User")->mppe.has_value());
  // The same on the wire, another name in the log.
  CHECK(decide("Hashed").error().reason == EndReason::auth_no_cleartext);
  CHECK(decide("Hashed").error().ms_chap_error == 691);
  CHECK(decide("Nobody").error().reason == EndReason::auth_failed);
  credentials.identifier ^= 1;
  CHECK(decide("User").error().reason == EndReason::auth_failed);
}

// The exchange of RFC 2433 appendix B and the keys of RFC 3079 §2.5, which have other passwords.
TEST_CASE("local users: MS-CHAPv1 is judged by the NT response and gives one key",
          "[aaa][rfc2433-B][rfc3079-2.5]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "MyPw")}, random);
  model::MsChapCredentials credentials;
  set(credentials.challenge, "102DB5DF085D3041");
  set(credentials.nt_response, "4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61");
  const auto decide = [&] {
    return authenticator.decide({.user = "User", .credentials = credentials, .peer = {}});
  };
  const auto right = decide();
  REQUIRE(right.has_value());
  REQUIRE(right->mppe.has_value());
  CHECK(right->mppe->send == right->mppe->receive);
  CHECK(right->mppe->weak == model::MppeKeys::Weak::kNone);
  credentials.nt_response[23] ^= std::byte{1};
  CHECK(decide().error().reason == EndReason::auth_failed);
}

TEST_CASE("local users: what stands against an account is told only with the right password",
          "[aaa][conformance-47]") {
  FakeRandom random;
  LocalUser account = user("User", "clientPass");
  const bool disabled = GENERATE(true, false);
  account.disabled = disabled;
  account.password_expired = !disabled;
  LocalAuthenticator authenticator({account}, random);
  const auto right = authenticator.decide(rfc_request());
  REQUIRE_FALSE(right.has_value());
  CHECK(right.error().ms_chap_error == (disabled ? 647 : 648));
  CHECK_FALSE(right.error().may_retry);
  CHECK_FALSE(right.error().may_change_password);
  auto wrong = rfc_request();
  std::get<model::MsChapV2Credentials>(wrong.credentials).nt_response[0] ^= std::byte{1};
  CHECK(authenticator.decide(wrong).error().ms_chap_error == 691);
}

TEST_CASE("local users: a new password is taken only where one is due", "[aaa][rfc2759-7]") {
  FakeRandom random;
  const auto old_hash = crypto::nt_password_hash("clientPass").value();
  const auto new_hash = crypto::nt_password_hash("newPass").value();
  model::ChangePasswordCredentials change;
  crypto::EncryptedPassword padding{};
  change.encrypted_password = crypto::encrypt_new_password("newPass", old_hash, padding).value();
  change.encrypted_hash = crypto::old_hash_encrypted_with_new(old_hash, new_hash);
  change.response.nt_response = crypto::generate_nt_response(
      change.response.authenticator_challenge, change.response.peer_challenge, "User", new_hash);
  LocalUser account = user("User", "clientPass");
  account.password_expired = true;
  int kept = 0;
  const auto keep = [&kept](const std::string&, const Secret<16>&, auto done) {
    ++kept;
    done(true);
  };
  const auto decide = [&](LocalAuthenticator& authenticator) {
    return authenticator.decide({.user = "User", .credentials = change, .peer = {}});
  };
  SECTION("once") {
    LocalAuthenticator authenticator({account}, random);
    authenticator.allow_password_changes(keep);
    const auto result = decide(authenticator);
    REQUIRE(result.has_value());
    CHECK(result->mppe.has_value());
    CHECK(result->authenticator_response.starts_with("S="));
    CHECK(kept == 1);
    CHECK_FALSE(decide(authenticator).has_value());                // the key is another by now
    CHECK_FALSE(authenticator.decide(rfc_request()).has_value());  // and so is the password
  }
  SECTION("not when it has not expired") {
    account.password_expired = false;
    LocalAuthenticator authenticator({account}, random);
    authenticator.allow_password_changes(keep);
    CHECK(decide(authenticator).error().ms_chap_error == 709);
    CHECK(authenticator.decide(rfc_request()).has_value());
  }
  SECTION("not when nobody keeps it") {
    LocalAuthenticator authenticator({account}, random);
    CHECK(decide(authenticator).error().ms_chap_error == 709);
  }
  SECTION("not for a disabled account") {
    account.disabled = true;
    LocalAuthenticator authenticator({account}, random);
    authenticator.allow_password_changes(keep);
    CHECK(decide(authenticator).error().ms_chap_error == 647);
  }
  SECTION("not without the old password, the new one's proof, or an account") {
    LocalAuthenticator authenticator({account}, random);
    authenticator.allow_password_changes(keep);
    auto good = change;
    change.encrypted_hash[0] ^= std::byte{1};
    CHECK(decide(authenticator).error().ms_chap_error == 691);
    change = good;
    change.response.nt_response[0] ^= std::byte{1};
    CHECK(decide(authenticator).error().ms_chap_error == 691);
    change = good;
    change.encrypted_password[515] ^= std::byte{1};
    CHECK(decide(authenticator).error().ms_chap_error == 691);
    change = good;
    CHECK(authenticator.decide({.user = "Nobody", .credentials = change, .peer = {}})
              .error()
              .ms_chap_error == 691);
    CHECK(kept == 0);
  }
}

TEST_CASE("local users: a message that only a server can judge lets nobody in", "[aaa]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("User", "clientPass")}, random);
  const auto result = authenticator.decide(
      {.user = "User", .credentials = model::RelayedCredentials{octets("01cc"), {}}, .peer = {}});
  REQUIRE(result.denial() != nullptr);
  CHECK(result.denial()->reason == EndReason::auth_failed);
}

TEST_CASE("local users: a realm is stripped for the look-up, and the hash is over the name as sent",
          "[aaa][realms][rfc2759-8.2]") {
  FakeRandom random;
  LocalAuthenticator authenticator({user("alice", "clientPass")}, random);
  const auto ask = [&](std::string_view hashed) {
    model::MsChapV2Credentials credentials;
    const crypto::PasswordHash hash = crypto::nt_password_hash("clientPass").value();
    credentials.nt_response = crypto::generate_nt_response(
        credentials.authenticator_challenge, credentials.peer_challenge, hashed, hash);
    return authenticator.decide({.user = "alice@example.com",
                                 .credentials = credentials,
                                 .peer = {},
                                 .realm = "example.com",
                                 .account = "alice"});
  };
  const auto result = ask("alice@example.com");
  REQUIRE(result);
  CHECK(result->user == "alice");
  CHECK(result->origin.realm == "example.com");
  CHECK_FALSE(result->origin.is_radius);
  CHECK_FALSE(ask("alice"));
}
