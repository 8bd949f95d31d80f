// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 3079 §3.5: user "User", password "clientPass", the exchange of RFC 2759 §9.2. The sample
// messages are checked with RC4.
#include "pns/crypto/mppe_keys.hpp"

#include <catch2/catch.hpp>
#include <numeric>
#include <utility>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::crypto;
using pns::test::hex;
using pns::test::octets;
using pns::test::Octets;

namespace {

Secret<16> master_key() {
  const auto hash_hash = octets("41C00C584BD2D91C4017A2A12FA59F3F");
  const auto response = octets("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
  return get_master_key(std::span<const std::byte, 16>(hash_hash.data(), 16),
                        std::span<const std::byte, 24>(response.data(), 24));
}

// RC4 once more, straight from its description: the vectors tell if either is wrong.
std::string rc4(Bytes key, std::string_view message) {
  std::array<std::uint8_t, 256> s;
  std::iota(s.begin(), s.end(), std::uint8_t{0});
  std::uint8_t j = 0;
  for (std::size_t i = 0; i < 256; ++i) {
    j = static_cast<std::uint8_t>(j + s[i] + std::to_integer<std::uint8_t>(key[i % key.size()]));
    std::swap(s[i], s[j]);
  }
  Octets out;
  std::uint8_t i = 0;
  j = 0;
  for (const char c : message) {
    i = static_cast<std::uint8_t>(i + 1);
    j = static_cast<std::uint8_t>(j + s[i]);
    std::swap(s[i], s[j]);
    const auto at = static_cast<std::uint8_t>(s[i] + s[j]);
    out.push_back(static_cast<std::byte>(c) ^ std::byte{s[at]});
  }
  return hex(out);
}

struct Sample {
  const char* section;
  unsigned key_bits;
  const char* start_key;
  const char* session_key;
  const char* message;
};

}  // namespace

TEST_CASE("mppe keys: the master key of RFC 3079", "[crypto][rfc3079-3.4]") {
  CHECK(hex(master_key().bytes()) == "fdece3717a8c838cb388e527ae3cdd31");
}

TEST_CASE("mppe keys: the sample key derivations of RFC 3079", "[crypto][rfc3079-3.5]") {
  const Sample sample = GENERATE(
      Sample{"3.5.1", 40, "8b7cdc149b993a1b", "d1269ec49fa62e3e", "929137917e5803d668d75898"},
      // The RFC prints 58 as the last octet of this message; two implementations of RC4 say b8.
      Sample{"3.5.2", 56, "8b7cdc149b993a1b", "d15c00c49fa62e3e", "3f106833fa448da842bc57b8"},
      Sample{"3.5.3", 128, "8b7cdc149b993a1ba118cb153f56dccb", "405cb2247a7956e6e211007ae27b22d4",
             "81848317df68846272fb5abe"});
  INFO("RFC 3079 §" << sample.section);
  const std::size_t used = key_octets(sample.key_bits);
  const auto start =
      get_asymmetric_start_key(master_key().bytes(), sample.key_bits, KeyDirection::kServerSend);
  CHECK(hex(start.bytes().first(used)) == sample.start_key);
  for (const std::byte octet : start.bytes().subspan(used)) CHECK(octet == std::byte{0});

  const auto session = first_session_key(start.bytes(), sample.key_bits);
  CHECK(hex(session.bytes().first(used)) == sample.session_key);
  for (const std::byte octet : session.bytes().subspan(used)) CHECK(octet == std::byte{0});
  CHECK(rc4(session.bytes().first(used), "test message") == sample.message);

  Secret<16> by_steps;
  get_new_key_from_sha(start.bytes(), start.bytes(), used, by_steps.bytes());
  reduce_key(by_steps.bytes(), sample.key_bits);
  CHECK(by_steps == session);
}

TEST_CASE("mppe keys: what the server sends with is not what it receives with",
          "[crypto][rfc3079-3.4]") {
  const auto send = get_asymmetric_start_key(master_key().bytes(), 128, KeyDirection::kServerSend);
  const auto receive =
      get_asymmetric_start_key(master_key().bytes(), 128, KeyDirection::kServerReceive);
  CHECK_FALSE(send == receive);
  // By an independent implementation (Python hashlib, SHA-1 over master, 40 × 00, magic 2, 40 ×
  // F2).
  CHECK(hex(receive.bytes()) == "d5f0e9521e3ea9589645e86051c82226");
}

TEST_CASE("mppe keys: a key changes in place", "[crypto][rfc3079-3.4]") {
  const auto start = get_asymmetric_start_key(master_key().bytes(), 128, KeyDirection::kServerSend);
  Secret<16> key = start;
  get_new_key_from_sha(start.bytes(), key.bytes(), 16, key.bytes());
  CHECK(hex(key.bytes()) == "405cb2247a7956e6e211007ae27b22d4");
}

TEST_CASE("mppe keys: only weak keys get salt", "[crypto][rfc3079-3.1]") {
  const auto reduced = [](unsigned bits) {
    Secret<16> key;
    for (std::byte& octet : key.bytes()) octet = std::byte{0xee};
    reduce_key(key.bytes(), bits);
    return hex(key.bytes().first(4));
  };
  CHECK(reduced(40) == "d1269eee");
  CHECK(reduced(56) == "d1eeeeee");
  CHECK(reduced(128) == "eeeeeeee");
}

// RFC 3079 §2.5. Checked once more by Python (hashlib and an RC4 of a few lines).
TEST_CASE("mppe keys: the sample key derivations of MS-CHAPv1", "[crypto][rfc3079-2.5]") {
  const auto challenge = octets("102db5df085d3041");
  const auto hash_hash = octets("41c00c584bd2d91c4017a2a12fa59f3f");
  const auto start = get_start_key(std::span<const std::byte, 8>(challenge.data(), 8),
                                   std::span<const std::byte, 16>(hash_hash.data(), 16));
  CHECK(hex(start.bytes()) == "a8947850cfc0acc1d1789fb62ddcddb0");
  CHECK(hex(first_session_key(start.bytes(), 128).bytes()) == "59d159bc09f76f1da2a86a28ffec0b1e");

  const auto lm_hash = octets("76a152936096d7830000000000000000");
  const std::span<const std::byte, 16> weak(lm_hash.data(), 16);
  CHECK(hex(first_session_key(weak, 40).bytes().first(8)) == "d1269e538cec4a08");
  CHECK(hex(first_session_key(weak, 56).bytes().first(8)) == "d10801538cec4a08");
}
