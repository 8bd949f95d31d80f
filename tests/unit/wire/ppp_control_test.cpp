// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ppp_control.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::wire;
using pns::test::octets;
using pns::test::Octets;
using pns::test::to_octets;

namespace {

template <class Option>
Octets encode(const Option& option) {
  Octets out(64);
  Writer writer(out);
  option.write(writer);
  out.resize(writer.size());
  return out;
}

// The one option that `encoded` holds.
Option only_option(const Octets& encoded) {
  OptionReader reader(encoded);
  const auto option = reader.next();
  REQUIRE(option.has_value());
  CHECK_FALSE(reader.next().has_value());
  CHECK(reader.ok());
  return *option;
}

}  // namespace

TEST_CASE("ppp: a frame is read with and without FF 03 and with short protocols",
          "[wire][rfc1661-6.5][rfc1661-6.6]") {
  const auto read = [](std::string_view hex) -> std::optional<std::uint16_t> {
    static Octets frame;
    frame = octets(hex);
    const auto parsed = parse_ppp_frame(frame);
    if (!parsed) return std::nullopt;
    CHECK(to_octets(parsed->information) == octets("aabb"));
    return parsed->protocol;
  };
  CHECK(read("ff03 c021 aabb") == 0xc021);
  CHECK(read("c021 aabb") == 0xc021);
  CHECK(read("ff03 0021 aabb") == 0x0021);
  CHECK(read("ff03 21 aabb") == 0x0021);
  CHECK(read("21 aabb") == 0x0021);
  CHECK(read("fd aabb") == 0x00fd);
}

TEST_CASE("ppp: a frame without a whole, well-formed protocol is none", "[wire][rfc1661-2]") {
  for (const char* hex : {"", "ff03", "c0", "ff03c0", "c022", "ff038020"})
    CHECK_FALSE(parse_ppp_frame(octets(hex)).has_value());
}

// By hand from RFC 1661 §5.1.
TEST_CASE("ppp: a control packet is cut at its Length", "[wire][rfc1661-5]") {
  const Octets wire = octets("01 2a 0008 0104 05dc ffff");
  const auto packet = parse_control_packet(wire);
  REQUIRE(packet.has_value());
  CHECK(packet->code == 1);
  CHECK(packet->identifier == 0x2a);
  CHECK(to_octets(packet->data) == octets("010405dc"));
  CHECK(to_octets(packet->whole) == octets("012a0008010405dc"));
}

TEST_CASE("ppp: control packets survive a round trip", "[wire]") {
  for (std::size_t length : {0u, 1u, 4u, 1000u}) {
    const Octets data(length, std::byte{0x5a});
    Octets out(1504);
    const std::size_t written = write_control_packet(out, 9, 7, data);
    REQUIRE(written == length + 4);
    const auto packet = parse_control_packet(Bytes(out).first(written));
    REQUIRE(packet.has_value());
    CHECK(packet->code == 9);
    CHECK(packet->identifier == 7);
    CHECK(to_octets(packet->data) == data);
  }
  Octets small(7);
  CHECK(write_control_packet(small, 9, 7, octets("00000000")) == 0);
}

TEST_CASE("ppp: a control packet's Length below 4 or beyond the frame is refused",
          "[wire][conformance-37]") {
  const Octets whole = octets("01 01 000a 0506 01020304");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto packet = parse_control_packet(Bytes(whole).first(length));
    REQUIRE_FALSE(packet.has_value());
    CHECK(packet.error() == (length < 4 ? PacketError::kTruncated : PacketError::kBadLength));
  }
  for (const char* hex : {"01010000", "01010003", "01010005", "0101ffff"}) {
    const auto packet = parse_control_packet(octets(hex));
    REQUIRE_FALSE(packet.has_value());
    CHECK(packet.error() == PacketError::kBadLength);
  }
}

TEST_CASE("ppp: the option walker always ends", "[wire][conformance-36]") {
  CHECK(options_well_formed(octets("")));
  CHECK(options_well_formed(octets("0702 0802 010405dc")));
  CHECK_FALSE(options_well_formed(octets("0100")));
  CHECK_FALSE(options_well_formed(octets("0101")));
  CHECK_FALSE(options_well_formed(octets("0702 01")));
  CHECK_FALSE(options_well_formed(octets("0104 05")));
  CHECK_FALSE(options_well_formed(octets("01ff 05dc")));

  Octets many;
  for (int i = 0; i < 300; ++i) {
    many.push_back(std::byte{0xc8});
    many.push_back(std::byte{2});
  }
  OptionReader reader(many);
  int count = 0;
  while (reader.next()) ++count;
  CHECK(count == 300);
  CHECK(reader.ok());
}

TEST_CASE("ppp: the option walker stays failed after the first bad option", "[wire]") {
  const Octets bad = octets("0702 0501 0802");
  OptionReader reader(bad);
  CHECK(reader.next().has_value());
  CHECK_FALSE(reader.next().has_value());
  CHECK_FALSE(reader.next().has_value());
  CHECK_FALSE(reader.ok());
}

// By hand from RFC 1661 §6, RFC 1662 §7.1, RFC 1332 §3.3, RFC 1877 §1, RFC 3078 §2.1, RFC 2759 §3.
TEST_CASE("ppp: options octet for octet, and back", "[wire][rfc1661-6]") {
  SECTION("MRU") {
    const Octets wire = encode(MaximumReceiveUnit{1400});
    CHECK(wire == octets("01 04 0578"));
    CHECK(MaximumReceiveUnit::parse(only_option(wire).data) == MaximumReceiveUnit{1400});
  }
  SECTION("ACCM") {
    const Octets wire = encode(AsyncControlCharacterMap{0x000a0000});
    CHECK(wire == octets("02 06 000a0000"));
    CHECK(AsyncControlCharacterMap::parse(only_option(wire).data)->map == 0x000a0000);
  }
  SECTION("Authentication-Protocol, MS-CHAPv2") {
    const Octets wire = encode(AuthenticationProtocol{0xc223, kChapMsV2});
    CHECK(wire == octets("03 05 c223 81"));
    CHECK(AuthenticationProtocol::parse(only_option(wire).data) ==
          AuthenticationProtocol{0xc223, kChapMsV2});
  }
  SECTION("Authentication-Protocol, PAP") {
    const Octets wire = encode(AuthenticationProtocol{0xc023, 0});
    CHECK(wire == octets("03 04 c023"));
    CHECK(AuthenticationProtocol::parse(only_option(wire).data) ==
          AuthenticationProtocol{0xc023, 0});
  }
  SECTION("Magic-Number") {
    const Octets wire = encode(MagicNumber{0x01020304});
    CHECK(wire == octets("05 06 01020304"));
    CHECK(MagicNumber::parse(only_option(wire).data)->magic == 0x01020304);
  }
  SECTION("PFC and ACFC") {
    CHECK(encode(ProtocolFieldCompression{}) == octets("07 02"));
    CHECK(encode(AddressAndControlFieldCompression{}) == octets("08 02"));
  }
  SECTION("addresses") {
    const Octets wire = encode(AddressOption{IpcpOption::kPrimaryDns, Ipv4Address(0x0a000035)});
    CHECK(wire == octets("81 06 0a000035"));
    const auto back = AddressOption::parse(only_option(wire));
    REQUIRE(back.has_value());
    CHECK(back->type == IpcpOption::kPrimaryDns);
    CHECK(back->address == Ipv4Address(0x0a000035));
  }
  SECTION("MPPE 128 bit stateless") {
    const Octets wire =
        encode(MppeSupportedBits{MppeSupportedBits::kStateless | MppeSupportedBits::k128});
    CHECK(wire == octets("12 06 01000040"));
    CHECK(MppeSupportedBits::parse(only_option(wire).data)->bits == 0x01000040);
  }
}

TEST_CASE("ppp: an option of the wrong size is not read", "[wire][conformance-49]") {
  for (std::size_t length : {0u, 1u, 2u, 3u, 4u, 5u, 18u}) {
    const Octets data(length, std::byte{1});
    CHECK(MaximumReceiveUnit::parse(data).has_value() == (length == 2));
    CHECK(AsyncControlCharacterMap::parse(data).has_value() == (length == 4));
    CHECK(MagicNumber::parse(data).has_value() == (length == 4));
    CHECK(MppeSupportedBits::parse(data).has_value() == (length == 4));
    CHECK(AddressOption::parse(Option{3, data, data}).has_value() == (length == 4));
    CHECK(ProtocolFieldCompression::parse(data).has_value() == (length == 0));
    CHECK(AddressAndControlFieldCompression::parse(data).has_value() == (length == 0));
    CHECK(AuthenticationProtocol::parse(data).has_value() == (length >= 2));
  }
  CHECK_FALSE(AuthenticationProtocol::parse(octets("c223")).has_value());
  CHECK_FALSE(AuthenticationProtocol::parse(octets("c2238100")).has_value());
}

TEST_CASE("ppp: CHAP values are bounded by the packet", "[wire][conformance-44]") {
  const Octets wire = octets("02 aabb 75736572");
  const auto chap = ChapValue::parse(wire);
  REQUIRE(chap.has_value());
  CHECK(to_octets(chap->value) == octets("aabb"));
  CHECK(to_octets(chap->name) == to_octets(as_octets("user")));
  CHECK_FALSE(ChapValue::parse({}).has_value());
  CHECK_FALSE(ChapValue::parse(octets("03 aabb")).has_value());
  CHECK_FALSE(ChapValue::parse(octets("ff aabb")).has_value());
  const auto empty = ChapValue::parse(octets("00"));
  REQUIRE(empty.has_value());
  CHECK(empty->value.empty());
  CHECK(empty->name.empty());
  CHECK(encode(*chap) == wire);
}

TEST_CASE("ppp: an MS-CHAPv2 Response is 49 octets and nothing else", "[wire][rfc2759-4]") {
  MsChapV2Response response;
  response.peer_challenge.fill(std::byte{0x11});
  response.nt_response.fill(std::byte{0x22});
  const Octets wire = encode(response);
  REQUIRE(wire.size() == 49);
  CHECK(wire[16] == std::byte{0});  // Reserved
  CHECK(wire[24] == std::byte{0x22});
  CHECK(wire[48] == std::byte{0});  // Flags
  CHECK(MsChapV2Response::parse(wire) == response);
  for (std::size_t length = 0; length < wire.size(); ++length)
    CHECK_FALSE(MsChapV2Response::parse(Bytes(wire).first(length)).has_value());
  CHECK_FALSE(MsChapV2Response::parse(Octets(50)).has_value());
  for (std::size_t at = 0; at < wire.size(); ++at) {
    Octets changed = wire;
    changed[at] ^= std::byte{0x01};
    const bool must_be_zero = (at >= 16 && at < 24) || at == 48;
    CHECK(MsChapV2Response::parse(changed).has_value() != must_be_zero);
  }
}

TEST_CASE("ppp: Protocol-Reject and Echo bodies need their fixed part", "[wire][rfc1661-5.7]") {
  const Octets reject_wire = octets("8057 0101");
  const auto reject = ProtocolReject::parse(reject_wire);
  REQUIRE(reject.has_value());
  CHECK(reject->rejected_protocol == 0x8057);
  CHECK(to_octets(reject->rejected_information) == octets("0101"));
  CHECK_FALSE(ProtocolReject::parse(octets("80")).has_value());

  const Octets echo_wire = octets("01020304 aa");
  const auto echo = EchoBody::parse(echo_wire);
  REQUIRE(echo.has_value());
  CHECK(echo->magic == 0x01020304);
  CHECK(to_octets(echo->data) == octets("aa"));
  CHECK_FALSE(EchoBody::parse(octets("010203")).has_value());
}
