// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ppp_auth.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::wire;
using pns::test::hex;
using pns::test::octets;
using pns::test::Octets;

namespace {

template <class Body>
Octets encode(const Body& body) {
  Octets out(1024);
  Writer writer(out);
  body.write(writer);
  REQUIRE(writer.ok());
  out.resize(writer.size());
  return out;
}

}  // namespace

TEST_CASE("pap: a request is read as RFC 1334 draws it", "[wire][rfc1334-2.2.1]") {
  const Octets whole = octets("04 55736572 02 7077");
  const auto request = PapRequest::parse(whole);
  REQUIRE(request);
  CHECK(hex(request->peer_id) == "55736572");
  CHECK(hex(request->password) == "7077");
  CHECK(encode(*request) == whole);
  CHECK(PapRequest::parse(octets("00 00")));
  CHECK(PapRequest::parse(octets("00 00 ffff")));  // padding
}

TEST_CASE("pap: a cut request is none", "[wire][rfc1334-2.2.1]") {
  const Octets whole = octets("04 55736572 02 7077");
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_FALSE(PapRequest::parse(Bytes(whole).first(length)));
  CHECK_FALSE(PapRequest::parse(octets("ff 55")));
  CHECK_FALSE(PapRequest::parse(octets("00 ff 55")));
}

TEST_CASE("mschap: a Response is 49 octets and nothing else", "[wire][rfc2433-4]") {
  MsChapV1Response response;
  response.nt_response.fill(std::byte{0x5c});
  const Octets value = encode(response);
  REQUIRE(value.size() == MsChapV1Response::kLength);
  CHECK(MsChapV1Response::parse(value) == response);
  for (std::size_t length = 0; length < 64; ++length)
    if (length != 49) CHECK_FALSE(MsChapV1Response::parse(Octets(length)));
  // Only a flag of 1 means the NT response.
  for (const int flag : {0, 2, 255}) {
    Octets other = value;
    other.back() = static_cast<std::byte>(flag);
    CHECK_FALSE(MsChapV1Response::parse(other)->use_nt_response);
  }
}

TEST_CASE("mschapv2: a Change-Password packet is 582 octets behind its header",
          "[wire][rfc2759-7]") {
  MsChapV2ChangePassword change;
  change.encrypted_password.fill(std::byte{1});
  change.encrypted_hash.fill(std::byte{2});
  change.peer_challenge.fill(std::byte{3});
  change.nt_response.fill(std::byte{4});
  const Octets data = encode(change);
  REQUIRE(data.size() == 582);
  CHECK(data[515] == std::byte{1});
  CHECK(data[516] == std::byte{2});
  CHECK(data[532] == std::byte{3});
  CHECK(data[548] == std::byte{0});
  CHECK(data[556] == std::byte{4});
  CHECK(data[580] == std::byte{0});
  CHECK(MsChapV2ChangePassword::parse(data) == change);
  for (std::size_t length = 0; length < 582; ++length)
    CHECK_FALSE(MsChapV2ChangePassword::parse(Bytes(data).first(length)));
  CHECK_FALSE(MsChapV2ChangePassword::parse(Octets(583)));
  for (std::size_t at = 0; at < data.size(); ++at) {
    Octets changed = data;
    changed[at] ^= std::byte{0x80};
    const bool must_be_zero = (at >= 548 && at < 556) || at >= 580;
    CHECK(MsChapV2ChangePassword::parse(changed).has_value() != must_be_zero);
  }
}

TEST_CASE("eap: a packet's data is a type and its data", "[wire][rfc3748-4.1]") {
  CHECK_FALSE(EapData::parse({}));
  const Octets identity = octets("01 55736572");
  const auto data = EapData::parse(identity);
  REQUIRE(data);
  CHECK(data->type == 1);
  CHECK(hex(data->data) == "55736572");
}

TEST_CASE("eap-mschapv2: MS-Length is the length of the Type-Data", "[wire][eap-mschapv2-2]") {
  const Octets challenge = octets("01 07 0006 abcd");
  const auto packet = EapMsChapV2::parse(challenge);
  REQUIRE(packet);
  CHECK(packet->code == 1);
  CHECK(packet->identifier == 7);
  CHECK(hex(packet->data) == "abcd");
  CHECK(encode(*packet) == challenge);
  // The OpCode alone answers Success and Failure.
  CHECK(EapMsChapV2::parse(octets("03"))->code == 3);
  for (const char* bad : {"", "0107", "010700", "01070005abcd", "01070007abcd", "0107ffffabcd"})
    CHECK_FALSE(EapMsChapV2::parse(octets(bad)));
}
