// SPDX-License-Identifier: BSD-3-Clause
#include "pns/radius/packet.hpp"

#include <catch2/catch.hpp>

#include "pns/radius/packet_builder.hpp"
#include "tests/support/fake_random.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::radius;
using pns::test::hex;
using pns::test::octets;
using pns::test::Octets;

namespace {

// A packet of these attributes, its Length right.
Octets packet_of(std::string_view attributes, std::string_view code = "02") {
  Octets out = test::concat({octets(code), octets("07 0000"), Octets(16), octets(attributes)});
  out[2] = static_cast<std::byte>(out.size() >> 8);
  out[3] = static_cast<std::byte>(out.size());
  return out;
}

// "vendor:number=hex" of each attribute.
std::string listing(Bytes datagram) {
  const auto packet = PacketView::parse(datagram);
  if (!packet) return std::string(name_of(packet.error()));
  std::string out;
  for (const Attribute& each : *packet)
    out += std::to_string(each.id.vendor) + ":" + std::to_string(each.id.number) + "=" +
           hex(each.value) + " ";
  return out;
}

struct Case {
  const char* name;
  const char* octets;
  const char* expected;
};

}  // namespace

TEST_CASE("radius packet: the request of RFC 2865 §7.1 is read as the RFC explains it",
          "[radius][rfc2865-7.1]") {
  const Octets datagram = octets(
      "01 00 0038 0f403f9473978057bd83d5cb98f4227a 0106 6e656d6f"
      "0212 0dbe708d93d413ce3196e43f782a0aee 0406 c0a80110 0506 00000003");
  const auto packet = PacketView::parse(datagram);
  REQUIRE(packet);
  CHECK(packet->code() == Code::kAccessRequest);
  CHECK(packet->identifier() == 0);
  CHECK(hex(packet->authenticator()) == "0f403f9473978057bd83d5cb98f4227a");
  CHECK(packet->whole().size() == 56);
  CHECK(hex(*packet->find_first(attribute::kUserName)) == "6e656d6f");
  CHECK(hex(*packet->find_first(attribute::kNasIpAddress)) == "c0a80110");
  CHECK(hex(*packet->find_last(attribute::kNasPort)) == "00000003");
  CHECK_FALSE(packet->find_first(attribute::kFilterId));
  CHECK_FALSE(packet->find_last(attribute::kMsMppeSendKey));
  CHECK(packet->malformed_vendor_attributes() == 0);
}

TEST_CASE("radius packet: header and attributes are judged by their lengths",
          "[radius][rfc2865-3][rfc2865-5]") {
  const Case cases[] = {
      {"header alone", "0507 0014 00000000000000000000000000000000", ""},
      {"octets past Length are padding", "0507 0014 00000000000000000000000000000000 0100", ""},
      {"an attribute", "0507 0017 00000000000000000000000000000000 190361", "0:25=61 "},
      {"an attribute without value", "0507 0016 00000000000000000000000000000000 1902", "0:25= "},
      {"Length 19", "0507 0013 00000000000000000000000000000000", "length_too_small"},
      {"Length 0", "0507 0000 00000000000000000000000000000000", "length_too_small"},
      {"Length beyond", "0507 0015 00000000000000000000000000000000", "packet_truncated"},
      {"Length 4097", "0507 1001 00000000000000000000000000000000", "length_too_large"},
      {"attribute length 1", "0507 0016 00000000000000000000000000000000 1901", "attribute_length"},
      {"attribute length 0", "0507 0016 00000000000000000000000000000000 1900", "attribute_length"},
      {"attribute past end", "0507 0017 00000000000000000000000000000000 190461",
       "attribute_past_end"},
      {"attribute past Length, in padding", "0507 0017 00000000000000000000000000000000 19046161",
       "attribute_past_end"},
      {"half an attribute header", "0507 0015 00000000000000000000000000000000 19",
       "attribute_past_end"},
      {"the second attribute past end", "0507 0019 00000000000000000000000000000000 190361 19ff",
       "attribute_past_end"},
      {"empty", "", "header_truncated"},
      {"19 octets", "0507 0013 000000000000000000000000000000", "header_truncated"},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    CHECK(listing(octets(each.octets)) == each.expected);
  }
}

TEST_CASE("radius packet: each cut of a packet is refused by name", "[radius][rfc2865-3]") {
  const Octets whole = packet_of("190361 1a0c 00000137 1a06 00000001 0506 00000003");
  REQUIRE(PacketView::parse(whole));
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto cut = PacketView::parse(Bytes(whole).first(length));
    REQUIRE_FALSE(cut);
    CHECK(cut.error() ==
          (length < 20 ? DecodeError::header_truncated : DecodeError::packet_truncated));
  }
}

TEST_CASE("radius packet: 4,096 octets are taken, 4,097 are not", "[radius][rfc2865-3]") {
  Octets largest(4097);
  largest[2] = std::byte{0x10};
  largest[3] = std::byte{0x00};
  for (std::size_t at = 20; at < 4096; at += 4) {
    largest[at] = std::byte{25};
    largest[at + 1] = std::byte{4};
  }
  const auto packet = PacketView::parse(largest);
  REQUIRE(packet);
  CHECK(packet->whole().size() == 4096);
  CHECK(packet->count(attribute::kClass) == 1019);
  largest[3] = std::byte{0x01};
  CHECK(PacketView::parse(largest).error() == DecodeError::length_too_large);
}

TEST_CASE("radius packet: vendor attributes are given with their vendor",
          "[radius][rfc2865-5.26]") {
  const Case cases[] = {
      {"one", "1a0a 00003a8c 0804 314d", "14988:8=314d "},
      {"several sub-attributes", "1a0f 00000137 0703 61 0804 6262 0902",
       "311:7=61 311:8=6262 311:9= "},
      {"two vendors and one of the IETF", "1a09 00000137 0703 61 190361 1a09 00000009 0103 62",
       "311:7=61 0:25=61 9:1=62 "},
      {"no sub-attribute", "1a06 00000137", "0:26=00000137 "},
      {"no vendor", "1a05 000001", "0:26=000001 "},
      {"empty", "1a02", "0:26= "},
      {"sub-attribute past end", "1a09 00000137 0704 61", "0:26=00000137070461 "},
      {"the second one past end", "1a0b 00000137 0703 61 0803", "0:26=000001370703610803 "},
      {"length 1", "1a09 00000137 0701 61", "0:26=00000137070161 "},
      {"half a header", "1a07 00000137 07", "0:26=0000013707 "},
      {"high-order octet of the vendor", "1a09 01000137 0703 61", "0:26=01000137070361 "},
      // Else a forged EAP-Message or Message-Authenticator.
      {"vendor 0", "1a09 00000000 4f03 61", "0:26=000000004f0361 "},
      {"after a malformed one", "1a06 00000137 190361", "0:26=00000137 0:25=61 "},
  };
  for (const Case& each : cases) {
    INFO(each.name);
    CHECK(listing(packet_of(each.octets)) == each.expected);
  }
  const Octets two = packet_of("1a06 00000137 1a09 00000137 0703 61 1a06 00000137");
  CHECK(PacketView::parse(two)->malformed_vendor_attributes() == 2);
}

TEST_CASE("radius packet: an attribute that comes several times is found in order", "[radius]") {
  const Octets datagram =
      packet_of("190361 1a0c 00000137 1003 61 1003 62 190362 1a09 00000137 1003 63 190363");
  const auto packet = PacketView::parse(datagram);
  REQUIRE(packet);
  std::string classes;
  for (const Bytes value : packet->all(attribute::kClass)) classes += hex(value);
  CHECK(classes == "616263");
  CHECK(packet->count(attribute::kClass) == 3);
  CHECK(hex(*packet->find_first(attribute::kMsMppeSendKey)) == "61");
  CHECK(hex(*packet->find_last(attribute::kMsMppeSendKey)) == "63");
  // The same number of another vendor is another attribute.
  CHECK_FALSE(packet->has({0, 16}));
}

TEST_CASE("radius packet: EAP-Message attributes are joined in order", "[radius][rfc3579-3.1]") {
  std::array<std::byte, kMaximumPacketSize> out;
  const Octets datagram = packet_of("4f04 0102 190361 4f02 4f03 03");
  CHECK(hex(*PacketView::parse(datagram)->join_eap_message(out)) == "010203");
  CHECK_FALSE(PacketView::parse(datagram)->join_eap_message(MutableBytes(out).first(2)));
  const Octets start = packet_of("4f02", "01");
  CHECK(PacketView::parse(start)->join_eap_message(out)->empty());
  const Octets none = packet_of("190361");
  CHECK_FALSE(PacketView::parse(none)->join_eap_message(out));
}

TEST_CASE("radius builder: what is built is what the parser reads", "[radius]") {
  PacketBuilder builder(Code::kAccountingRequest, 9, {},
                        PacketBuilder::MessageAuthenticator::kNone);
  builder.add_text(attribute::kUserName, "nemo");
  builder.add_u32(attribute::kAcctStatusType, 1);
  builder.add_ipv4(attribute::kFramedIpAddress, *Ipv4Address::parse("10.64.7.7"));
  builder.add_ipv6(attribute::kNasIpv6Address, *Ipv6Address::parse("2001:db8::7"));
  builder.add_ipv6_prefix(attribute::kDelegatedIpv6Prefix,
                          *Ipv6Prefix::parse("2001:db8:7:ff::1/56"));
  builder.add_ipv6_prefix(attribute::kFramedIpv6Prefix, {});
  builder.add_interface_id(attribute::kFramedInterfaceId, 0x0102030405060708);
  builder.add_tagged_u24(attribute::kTunnelType, 0, 1);
  builder.add_tagged_text(attribute::kTunnelClientEndpoint, 0, "192.0.2.1");
  builder.add_tagged_text(attribute::kTunnelServerEndpoint, 3, "192.0.2.2");
  builder.add_tagged_text(attribute::kTunnelServerEndpoint, 0, "\x01");
  builder.add_text(attribute::kMikrotikRateLimit, "1M");
  builder.add(attribute::kClass, {});
  builder.add_tagged_text(attribute::kTunnelServerEndpoint, 3, "");
  const auto built = builder.finish();
  REQUIRE(built);
  CHECK(built->size() == builder.size());
  CHECK(listing(*built) ==
        "0:1=6e656d6f 0:40=00000001 0:8=0a400707 0:95=20010db8000000000000000000000007 "
        "0:123=003820010db8000700 0:97=0000 0:96=0102030405060708 0:64=00000001 "
        "0:66=3139322e302e322e31 0:67=033139322e302e322e32 0:67=0001 14988:8=314d ");
}

TEST_CASE("radius builder: the Message-Authenticator is the first attribute",
          "[radius][rfc3579-3.2]") {
  PacketBuilder builder(Code::kAccessRequest, 1);
  builder.add_text(attribute::kUserName, "nemo");
  CHECK(listing(*builder.finish()) == "0:80=00000000000000000000000000000000 0:1=6e656d6f ");
}

TEST_CASE("radius builder: an EAP packet is cut at 253 octets", "[radius][rfc3579-3.1]") {
  for (const std::size_t size : {0, 1, 252, 253, 254, 506, 507, 1500}) {
    Octets eap(size);
    test::FakeRandom(size).fill(eap);
    PacketBuilder builder(Code::kAccessRequest, 1);
    builder.add_eap_message(eap);
    const auto packet = PacketView::parse(*builder.finish());
    REQUIRE(packet);
    CHECK(packet->count(attribute::kEapMessage) == std::max<std::size_t>(1, (size + 252) / 253));
    std::array<std::byte, kMaximumPacketSize> out;
    const auto joined = packet->join_eap_message(out);
    REQUIRE(joined);
    CHECK(hex(*joined) == hex(eap));
  }
}

TEST_CASE("radius builder: what does not fit makes it fail for good", "[radius]") {
  const Octets long_value(254);
  SECTION("a value") {
    PacketBuilder builder(Code::kAccessRequest, 1);
    builder.add(attribute::kClass, Bytes(long_value).first(253));
    CHECK(builder.ok());
    builder.add(attribute::kClass, long_value);
    CHECK_FALSE(builder.ok());
  }
  SECTION("a value of a vendor") {
    PacketBuilder builder(Code::kAccessRequest, 1);
    builder.add(attribute::kCiscoAvPair, Bytes(long_value).first(247));
    CHECK(builder.ok());
    builder.add(attribute::kCiscoAvPair, Bytes(long_value).first(248));
    CHECK_FALSE(builder.ok());
  }
  SECTION("the packet") {
    PacketBuilder builder(Code::kAccessRequest, 1, {}, PacketBuilder::MessageAuthenticator::kNone);
    for (int i = 0; i < 15; ++i) builder.add(attribute::kClass, Bytes(long_value).first(253));
    CHECK(builder.remaining() == 4096 - 20 - 15 * 255);
    builder.add(attribute::kClass, Bytes(long_value).first(builder.remaining() - 2));
    CHECK(builder.ok());
    CHECK(PacketView::parse(*builder.finish())->whole().size() == 4096);
    builder.add_u32(attribute::kNasPort, 1);
    CHECK_FALSE(builder.ok());
  }
  SECTION("a tag, a vendor, a prefix") {
    PacketBuilder tag(Code::kAccessRequest, 1);
    tag.add_tagged_u24(attribute::kTunnelType, 32, 1);
    CHECK_FALSE(tag.ok());
    PacketBuilder text(Code::kAccessRequest, 1);
    text.add_tagged_text(attribute::kTunnelClientEndpoint, 32, "x");
    CHECK_FALSE(text.ok());
    PacketBuilder wide(Code::kAccessRequest, 1);
    wide.add_tagged_u24(attribute::kTunnelType, 1, 0x1000000);
    CHECK_FALSE(wide.ok());
    PacketBuilder vendor(Code::kAccessRequest, 1);
    vendor.add_u32({0x1000000, 1}, 1);
    CHECK_FALSE(vendor.ok());
    PacketBuilder prefix(Code::kAccessRequest, 1);
    prefix.add_ipv6_prefix(attribute::kFramedIpv6Prefix, {.address = {}, .length = 129});
    CHECK_FALSE(prefix.ok());
  }
  PacketBuilder builder(Code::kAccessRequest, 1);
  builder.add(attribute::kClass, long_value);
  builder.add_u32(attribute::kNasPort, 1);  // it fits and is not written
  CHECK_FALSE(builder.finish());
  CHECK(builder.remaining() == 0);
}

TEST_CASE("radius builder: any attributes come back as they went in", "[radius]") {
  test::FakeRandom random(7);
  for (int round = 0; round < 300; ++round) {
    PacketBuilder builder(static_cast<Code>(random.next_u32()),
                          static_cast<std::uint8_t>(random.next_u32()), {},
                          PacketBuilder::MessageAuthenticator::kNone);
    std::string expected;
    while (builder.ok()) {
      // Vendor-Specific itself is written by vendor.
      AttributeId id{random.next_u32() % 2 == 0 ? 0 : 1 + random.next_u32() % 0xffffff,
                     static_cast<std::uint8_t>(random.next_u32())};
      if (id == attribute::kVendorSpecific) id.number = 25;
      Octets value(1 + random.next_u32() % (id.vendor == 0 ? 253 : 247));
      random.fill(value);
      const std::size_t needed = 2 + (id.vendor == 0 ? 0 : 6) + value.size();
      if (needed > builder.remaining()) break;
      builder.add(id, value);
      expected +=
          std::to_string(id.vendor) + ":" + std::to_string(id.number) + "=" + hex(value) + " ";
    }
    const auto built = builder.finish();
    REQUIRE(built);
    CHECK(listing(*built) == expected);
    // Octets that follow are no part of it.
    Octets padded = test::to_octets(*built);
    padded.resize(padded.size() + 5, std::byte{0xff});
    CHECK(listing(padded) == expected);
  }
}

TEST_CASE("radius packet: no garbage is read beyond its end", "[radius]") {
  test::FakeRandom random(3);
  std::size_t parsed = 0;
  for (int round = 0; round < 20'000; ++round) {
    Octets garbage(20 + random.next_u32() % 60);
    random.fill(garbage);
    garbage[2] = std::byte{0};
    garbage[3] = static_cast<std::byte>(20 + random.next_u32() % 60);
    for (std::size_t i = 20; i < garbage.size(); ++i)
      if (random.next_u32() % 2 == 0) garbage[i] = static_cast<std::byte>(random.next_u32() % 8);
    const auto packet = PacketView::parse(garbage);
    if (!packet) continue;
    ++parsed;
    for (const Attribute& each : *packet) {
      REQUIRE(each.value.data() >= garbage.data() + 22);
      REQUIRE(each.value.data() + each.value.size() <= garbage.data() + packet->whole().size());
    }
  }
  CHECK(parsed > 100);
}
