// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/ms_chap.hpp"

#include <catch2/catch.hpp>

#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::radius;
using pns::test::hex;
using pns::test::octets;
using pns::test::Octets;

namespace {

Octets with_ident(const char* ident, std::string_view text) {
  return test::concat({octets(ident), as_octets(text)});
}

std::string value_of(PacketBuilder& builder, AttributeId id) {
  const auto value = PacketView::parse(*builder.finish())->find_first(id);
  return value ? hex(*value) : "none";
}

}  // namespace

TEST_CASE("radius: CHAP is carried as in RFC 2865 §7.2", "[radius][rfc2865-5.3]") {
  const Octets challenge = octets("2aee86f08d0d55969ca5978e0d3367a2");
  const Octets response = octets("e97557c316185895f293ff6344077275");
  PacketBuilder builder(Code::kAccessRequest, 1);
  add_chap(builder, 0x16, challenge, Bytes(response).first<16>());
  CHECK(value_of(builder, attribute::kChapPassword) == "16e97557c316185895f293ff6344077275");
  CHECK(value_of(builder, attribute::kChapChallenge) == hex(challenge));
}

// The values that FreeRADIUS 3.2.1 accepts for these users.
TEST_CASE("radius: MS-CHAPv1 is carried with zeros for the LM response", "[radius][rfc2548-2.1]") {
  const Octets challenge = octets("102DB5DF085D3041");
  const Octets response = octets("4E9D3C8F9CFD385D5BF4D3246791956CA4C351AB409A3D61");
  PacketBuilder builder(Code::kAccessRequest, 1);
  add_ms_chap(builder, 0, Bytes(challenge).first<8>(), Bytes(response).first<24>());
  CHECK(value_of(builder, attribute::kMsChapChallenge) == "102db5df085d3041");
  CHECK(value_of(builder, attribute::kMsChapResponse) ==
        "0001000000000000000000000000000000000000000000000000"
        "4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61");
}

TEST_CASE("radius: MS-CHAPv2 is carried with both challenges", "[radius][rfc2548-2.3]") {
  const Octets challenge = octets("5B5D7C7D7B3F2F3E3C2C602132262628");
  const Octets peer = octets("21402324255E262A28295F2B3A337C7E");
  const Octets response = octets("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF");
  PacketBuilder builder(Code::kAccessRequest, 1);
  add_ms_chap2(builder, {.identifier = 7,
                         .authenticator_challenge = Bytes(challenge).first<16>(),
                         .peer_challenge = Bytes(peer).first<16>(),
                         .nt_response = Bytes(response).first<24>()});
  CHECK(value_of(builder, attribute::kMsChapChallenge) == "5b5d7c7d7b3f2f3e3c2c602132262628");
  CHECK(value_of(builder, attribute::kMsChap2Response) ==
        "070021402324255e262a28295f2b3a337c7e0000000000000000"
        "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df");
}

TEST_CASE("radius: a new password is carried in three parts", "[radius][rfc2548-2.3]") {
  const Octets challenge(16, std::byte{0xc1});
  const Octets peer(16, std::byte{0xc2});
  const Octets response(24, std::byte{0xc3});
  const Octets hash(16, std::byte{0xc4});
  Octets password(516);
  test::FakeRandom(5).fill(password);
  PacketBuilder builder(Code::kAccessRequest, 1);
  add_ms_chap2_change_password(builder,
                               {.identifier = 9,
                                .authenticator_challenge = Bytes(challenge).first<16>(),
                                .peer_challenge = Bytes(peer).first<16>(),
                                .nt_response = Bytes(response).first<24>()},
                               Bytes(password).first<516>(), Bytes(hash).first<16>());
  CHECK(value_of(builder, attribute::kMsChapChallenge) == hex(challenge));
  CHECK(value_of(builder, attribute::kMsChap2Cpw) ==
        "0709" + hex(hash) + hex(peer) + "0000000000000000" + hex(response) + "0000");
  const auto packet = PacketView::parse(*builder.finish());
  std::string heads;
  std::string joined;
  for (const Bytes part : packet->all(attribute::kMsChapNtEncPw)) {
    heads += hex(part.first(4)) + " ";
    joined += hex(part.subspan(4));
  }
  CHECK(heads == "06090001 06090002 06090003 ");
  CHECK(joined == hex(password));

  std::array<std::byte, kEncryptedPasswordSize> out;
  REQUIRE(join_encrypted_password(*packet, out));
  CHECK(hex(out) == hex(password));
  // Parts in another order, and without one of them.
  std::vector<Bytes> parts;
  for (const Bytes part : packet->all(attribute::kMsChapNtEncPw)) parts.push_back(part);
  for (std::size_t count = 3; count-- > 0;) {
    PacketBuilder other(Code::kAccessRequest, 1);
    for (std::size_t i = 3; i-- > 2 - count;) other.add(attribute::kMsChapNtEncPw, parts[i]);
    CHECK(join_encrypted_password(*PacketView::parse(*other.finish()), out) == (count == 2));
  }
  PacketBuilder longer(Code::kAccessRequest, 1);
  for (const Bytes part : {parts[0], parts[1]}) longer.add(attribute::kMsChapNtEncPw, part);
  longer.add(attribute::kMsChapNtEncPw, test::concat({parts[2], octets("00")}));
  CHECK_FALSE(join_encrypted_password(*PacketView::parse(*longer.finish()), out));
}

TEST_CASE("radius: MS-CHAP2-Success is an Ident and a proof", "[radius][rfc2548-2.3]") {
  const Octets value = with_ident("07", "S=407A5589115FD0D6209F510FE9C04566932CDA56");
  const auto success = read_ms_chap2_success(value);
  REQUIRE(success);
  CHECK(success->identifier == 7);
  CHECK(success->message == "S=407A5589115FD0D6209F510FE9C04566932CDA56");
  CHECK(
      read_ms_chap2_success(with_ident("07", "S=407A5589115FD0D6209F510FE9C04566932CDA56 M=hello"))
          ->message.ends_with(" M=hello"));
  for (const char* bad : {"", "S=", "S=407A5589115FD0D6209F510FE9C04566932CDA5",
                          "S=407A5589115FD0D6209F510FE9C04566932CDA5G", "E=691 R=1"})
    CHECK_FALSE(read_ms_chap2_success(with_ident("07", bad)));
  CHECK_FALSE(read_ms_chap2_success({}));
}

TEST_CASE("radius: MS-CHAP-Error is read in its forms", "[radius][rfc2548-2.1]") {
  const Octets error = with_ident(
      "07", "E=691 R=1 C=0123456789ABCDEF0123456789abcdef V=3 M=Authentication rejected");
  const auto read = read_ms_chap_error(error);
  REQUIRE(read);
  CHECK(read->identifier == 7);
  CHECK(read->error == 691);
  CHECK(read->may_retry);
  REQUIRE(read->challenge);
  CHECK(hex(*read->challenge) == "0123456789abcdef0123456789abcdef");
  CHECK_FALSE(read->short_challenge);
  CHECK(read->version == 3);
  CHECK(read->message == "Authentication rejected");

  const auto v1 = read_ms_chap_error(with_ident("00", "E=648 R=0 C=0123456789ABCDEF V=2"));
  REQUIRE(v1);
  CHECK(v1->error == 648);
  CHECK_FALSE(v1->may_retry);
  CHECK_FALSE(v1->challenge);
  CHECK(hex(*v1->short_challenge) == "0123456789abcdef");
  CHECK(v1->message.empty());

  // Without Ident, without anything but the number, with fields that are damaged.
  CHECK(read_ms_chap_error(as_octets("E=647 R=0"))->error == 647);
  CHECK(read_ms_chap_error(with_ident("07", "E=646"))->error == 646);
  CHECK(read_ms_chap_error(with_ident("07", "R=1 E=646"))->may_retry);
  CHECK_FALSE(read_ms_chap_error(with_ident("07", "E=691 C=0123"))->challenge);
  CHECK_FALSE(read_ms_chap_error(with_ident("07", "E=691 R=x"))->may_retry);
  CHECK(read_ms_chap_error(with_ident("07", "E=691 V=300"))->version == 0);
  for (const char* bad : {"", "E=", "E=70000", "E=-1", "R=1", "M=E=691", "hello"})
    CHECK_FALSE(read_ms_chap_error(with_ident("07", bad)));
  CHECK_FALSE(read_ms_chap_error({}));
}
