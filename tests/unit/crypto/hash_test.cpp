// SPDX-License-Identifier: BSD-3-Clause
#include "pns/crypto/hash.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::crypto;
using pns::test::hex;
using pns::test::octets;

// RFC 1320 §A.5.
TEST_CASE("md4: the test suite of RFC 1320", "[crypto][rfc1320]") {
  CHECK(hex(md4({})) == "31d6cfe0d16ae931b73c59d7e0c089c0");
  CHECK(hex(md4({as_octets("abc")})) == "a448017aaf21d8525fc10ae87aa6729d");
  CHECK(hex(md4({as_octets("message "), as_octets("digest")})) ==
        "d9130a8164549fe818874806e1c7014b");
}

// RFC 1321 §A.5.
TEST_CASE("md5: the test suite of RFC 1321", "[crypto][rfc1321]") {
  CHECK(hex(md5({})) == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(hex(md5({as_octets("a"), as_octets("bc")})) == "900150983cd24fb0d6963f7d28e17f72");
}

// RFC 3174 §7.3, test 1.
TEST_CASE("sha1: the test suite of RFC 3174", "[crypto][rfc3174]") {
  CHECK(hex(sha1({as_octets("abc")})) == "a9993e364706816aba3e25717850c26c9cd0d89d");
}

// RFC 2202 §2, cases 1 and 2.
TEST_CASE("hmac-md5: the test cases of RFC 2202", "[crypto][rfc2202]") {
  const auto key = octets("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
  CHECK(hex(hmac_md5(key, {as_octets("Hi There")})) == "9294727a3638bb1c13f48ef8158bfc9d");
  CHECK(hex(hmac_md5(as_octets("Jefe"),
                     {as_octets("what do ya want "), as_octets("for nothing?")})) ==
        "750c783e6ab0b503eaa86e310a5db738");
}

// FIPS 46-3 known answer: key 133457799BBCDFF1 is these seven octets with parity put in.
TEST_CASE("des: a key of seven octets encrypts like the same key with parity", "[crypto]") {
  const auto key = octets("12695bc9b7b7f8");
  const auto clear = octets("0123456789abcdef");
  const std::span<const std::byte, 7> seven(key.data(), 7);
  CHECK(hex(des_key_with_parity(seven)) == "133457799bbcdff1");
  CHECK(hex(des_encrypt_block(std::span<const std::byte, 8>(clear.data(), 8), seven)) ==
        "85e813540f0ab405");
}

// RFC 6229 §2, 40-bit key 0102030405, offset 0.
TEST_CASE("rc4: the test vectors of RFC 6229", "[crypto][rfc6229]") {
  auto data = octets("00000000000000000000000000000000");
  rc4(octets("0102030405"), data);
  CHECK(hex(data) == "b2396305f03dc027ccc3524a0a1118a8");
  rc4(octets("0102030405"), data);
  CHECK(hex(data) == "00000000000000000000000000000000");
}
