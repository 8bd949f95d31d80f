// SPDX-License-Identifier: BSD-3-Clause
#include "pns/crypto/mschap.hpp"

#include <catch2/catch.hpp>

#include "pns/crypto/hash.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::crypto;
using pns::test::hex;
using pns::test::octets;

namespace {

template <std::size_t N>
std::array<std::byte, N> fixed(std::string_view text) {
  const auto data = octets(text);
  REQUIRE(data.size() == N);
  std::array<std::byte, N> out{};
  std::copy(data.begin(), data.end(), out.begin());
  return out;
}

// RFC 2759 §9.2.
const auto kAuthenticatorChallenge = octets("5B5D7C7D7B3F2F3E3C2C602132262628");
const auto kPeerChallenge = octets("21402324255E262A28295F2B3A337C7E");

std::span<const std::byte, 16> authenticator_challenge() {
  return std::span<const std::byte, 16>(kAuthenticatorChallenge.data(), 16);
}
std::span<const std::byte, 16> peer_challenge() {
  return std::span<const std::byte, 16>(kPeerChallenge.data(), 16);
}

}  // namespace

TEST_CASE("mschapv2: the example of RFC 2759, step by step", "[crypto][rfc2759-9.2]") {
  CHECK(hex(challenge_hash(peer_challenge(), authenticator_challenge(), "User")) ==
        "d02e4386bce91226");
  const auto hash = nt_password_hash("clientPass");
  REQUIRE(hash.has_value());
  CHECK(hex(hash->bytes()) == "44ebba8d5312b8d611474411f56989ae");
  CHECK(hex(hash_nt_password_hash(*hash).bytes()) == "41c00c584bd2d91c4017a2a12fa59f3f");

  const NtResponse response =
      generate_nt_response(authenticator_challenge(), peer_challenge(), "User", *hash);
  CHECK(hex(response) == "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df");
  CHECK(response == challenge_response(fixed<8>("D02E4386BCE91226"), *hash));

  const std::string answer = generate_authenticator_response(*hash, response, peer_challenge(),
                                                             authenticator_challenge(), "User");
  CHECK(answer == "S=407A5589115FD0D6209F510FE9C04566932CDA56");
  CHECK(check_authenticator_response(*hash, response, peer_challenge(), authenticator_challenge(),
                                     "User", answer + " M=OK"));
}

TEST_CASE("mschapv2: DES keys with parity as in RFC 2759", "[crypto][rfc2759-9.3]") {
  const auto hash = nt_password_hash("MyPw");
  REQUIRE(hash.has_value());
  CHECK(hex(hash->bytes()) == "fc156af7edcd6c0edde3337d427f4eac");
  CHECK(hex(des_key_with_parity(std::span<const std::byte, 7>(hash->bytes().data(), 7))) ==
        "fd0b5b5e7f6e34d9");
  CHECK(hex(des_key_with_parity(std::span<const std::byte, 7>(hash->bytes().data() + 7, 7))) ==
        "0e6e796737ea08fe");
}

TEST_CASE("mschapv2: a changed authenticator response is found out", "[crypto][rfc2759-8.8]") {
  const auto hash = nt_password_hash("clientPass");
  REQUIRE(hash.has_value());
  const auto response = fixed<24>("82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df");
  const auto check = [&](std::string_view received) {
    return check_authenticator_response(*hash, response, peer_challenge(),
                                        authenticator_challenge(), "User", received);
  };
  CHECK(check("S=407A5589115FD0D6209F510FE9C04566932CDA56"));
  CHECK(check("S=407a5589115fd0d6209f510fe9c04566932cda56"));
  CHECK_FALSE(check("S=407A5589115FD0D6209F510FE9C04566932CDA57"));
  CHECK_FALSE(check("S=407A5589115FD0D6209F510FE9C04566932CDA5"));
  CHECK_FALSE(check("407A5589115FD0D6209F510FE9C04566932CDA56"));
  CHECK_FALSE(check(""));
}

// MD4 of the UTF-16LE octets by OpenSSL (legacy provider); the password holds 2-, 3- and 4-octet
// UTF-8.
TEST_CASE("mschapv2: passwords are UTF-8 and hashed as UTF-16LE", "[crypto][rfc2759-8.3]") {
  const auto hash = nt_password_hash("p\xc3\xa4ssw\xc3\xb6rd\xe2\x82\xac\xf0\x9f\x98\x80");
  REQUIRE(hash.has_value());
  CHECK(hex(hash->bytes()) == "343b5f56098bef0de4739d82d102f3ca");
  CHECK(hex(nt_password_hash("")->bytes()) == "31d6cfe0d16ae931b73c59d7e0c089c0");
}

TEST_CASE("mschapv2: a password that is not UTF-8 has no hash", "[crypto]") {
  for (const char* bad : {"\xff", "\xc3", "\xc3(", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "ok\x80"})
    CHECK_FALSE(nt_password_hash(bad).has_value());
}

TEST_CASE("mschapv2: the domain part does not take part in the hash", "[crypto][wire-facts-23]") {
  CHECK(user_without_domain("DOMAIN\\User") == "User");
  CHECK(user_without_domain("User") == "User");
  CHECK(user_without_domain("a\\b\\User") == "User");
  CHECK(user_without_domain("DOMAIN\\") == "");
  CHECK(user_without_domain("") == "");
}

// RFC 2433 appendix B: challenge and response of the password "MyPw".
TEST_CASE("mschap: the example of RFC 2433", "[crypto][rfc2433-B]") {
  const auto hash = nt_password_hash("MyPw");
  REQUIRE(hash.has_value());
  CHECK(hex(challenge_response(fixed<8>("102DB5DF085D3041"), *hash)) ==
        "4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61");
}

// The hash in RFC 3079 §2.5; its first half was also made with OpenSSL's DES.
TEST_CASE("mschap: LM hashes are those of RFC 3079, and only of short ASCII passwords",
          "[crypto][rfc2433-A]") {
  CHECK(hex(lm_password_hash("clientPass")->bytes()) == "76a152936096d7830e2390227404afd2");
  CHECK(*lm_password_hash("CLIENTpass") == *lm_password_hash("clientPass"));
  CHECK(lm_password_hash("14 characters.").has_value());
  CHECK_FALSE(lm_password_hash("15 characters..").has_value());
  CHECK_FALSE(lm_password_hash("").has_value());
  CHECK_FALSE(lm_password_hash("p\xc3\xa4ss").has_value());
}

TEST_CASE("mschapv2: a new password comes out as it went in", "[crypto][rfc2759-8.9]") {
  const auto old_hash = nt_password_hash("clientPass").value();
  EncryptedPassword padding;
  padding.fill(std::byte{0xa5});
  for (const std::string& text :
       {std::string("n"), std::string("p\xc3\xa4ss"), std::string(256, 'x')}) {
    const auto encrypted = encrypt_new_password(text, old_hash, padding);
    REQUIRE(encrypted.has_value());
    EncryptedPassword clear;
    const auto password = decrypt_new_password(*encrypted, old_hash, clear);
    REQUIRE(password.has_value());
    CHECK(nt_password_hash_of_utf16(*password) == nt_password_hash(text).value());
    // Under another key the length is junk, or the password is another.
    const auto other = decrypt_new_password(*encrypted, nt_password_hash("other").value(), clear);
    CHECK_FALSE((other && nt_password_hash_of_utf16(*other) == nt_password_hash(text).value()));
  }
  CHECK_FALSE(encrypt_new_password(std::string(257, 'x'), old_hash, padding).has_value());
}

TEST_CASE("mschapv2: a new password of impossible length is none", "[crypto][rfc2759-8.9]") {
  const auto hash = nt_password_hash("clientPass").value();
  for (const unsigned length : {0u, 1u, 511u, 513u, 514u, 0x80000000u, 0xffffffffu}) {
    EncryptedPassword packet{};
    for (unsigned i = 0; i < 4; ++i) packet[512 + i] = static_cast<std::byte>(length >> (8 * i));
    rc4(hash.bytes(), packet);
    EncryptedPassword clear;
    CHECK_FALSE(decrypt_new_password(packet, hash, clear).has_value());
  }
}
