// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ppp.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using test::octets;
using wire::PppProtocol;

TEST_CASE("ppp: all four forms of a header are read", "[wire][rfc1661-2]") {
  const auto full = wire::parse_ppp(octets("ff03 0021 45"));
  REQUIRE(full);
  CHECK(full->is(PppProtocol::kIpv4));
  CHECK(full->size() == 4);
  const auto acfc = wire::parse_ppp(octets("0021 45"));
  REQUIRE(acfc);
  CHECK(acfc->is(PppProtocol::kIpv4));
  CHECK(acfc->size() == 2);
  const auto pfc = wire::parse_ppp(octets("ff03 21 45"));
  REQUIRE(pfc);
  CHECK(pfc->is(PppProtocol::kIpv4));
  CHECK(pfc->size() == 3);
  const auto both = wire::parse_ppp(octets("fd 9001"));
  REQUIRE(both);
  CHECK(both->is(PppProtocol::kMppe));
  CHECK(both->size() == 1);
}

TEST_CASE("ppp: FF alone is a protocol, not half an address", "[wire][rfc1662-3.1]") {
  const auto header = wire::parse_ppp(octets("ff04"));
  REQUIRE(header);
  CHECK(header->protocol == 0xff);
  CHECK(header->address_size == 0);
}

TEST_CASE("ppp: an even last octet is no protocol", "[wire][rfc1661-2]") {
  CHECK(wire::parse_ppp(octets("ff03 c020 01")).error() == DropReason::ppp_protocol);
  CHECK(wire::parse_ppp(octets("0020")).error() == DropReason::ppp_protocol);
}

TEST_CASE("ppp: frames of 0 to 3 octets", "[wire][conformance-35]") {
  const auto frame = octets("ff03 c021");
  for (std::size_t size = 0; size < 4; ++size) {
    const auto header = wire::parse_ppp(Bytes(frame).first(size));
    CAPTURE(size);
    if (size == 1) {
      // A lone FF reads as a compressed protocol.
      CHECK(header);
    } else {
      REQUIRE_FALSE(header);
      CHECK(header.error() == DropReason::ppp_truncated);
    }
  }
  CHECK(wire::parse_ppp(frame));
}

TEST_CASE("ppp: what is written is read back", "[wire]") {
  for (const bool acfc : {false, true})
    for (const bool pfc : {false, true})
      for (const std::uint16_t protocol :
           std::initializer_list<std::uint16_t>{0x0021, 0x00fd, 0xc021, 0x80fd}) {
        const auto header = wire::ppp_header_for(protocol, acfc, pfc);
        std::array<std::byte, 4> out{};
        REQUIRE(wire::write_ppp(out, header) == header.size());
        const auto back = wire::parse_ppp(Bytes(out).first(header.size()));
        REQUIRE(back);
        CHECK(*back == header);
      }
}

TEST_CASE("ppp: LCP goes out uncompressed whatever was agreed",
          "[wire][rfc1661-6.5][rfc1661-6.6]") {
  CHECK(wire::ppp_header_for(0xc021, true, true).size() == 4);
  CHECK(wire::ppp_header_for(0x8021, true, true).size() == 2);
  CHECK(wire::ppp_header_for(0x0021, true, true).size() == 1);
}

TEST_CASE("ppp: LCP Echo head", "[wire][rfc1661-5.8]") {
  const auto packet = octets("09 2a 000c 01020304 deadbeef");
  const auto echo = wire::parse_echo(packet);
  REQUIRE(echo);
  CHECK(echo->code == wire::kLcpEchoRequest);
  CHECK(echo->identifier == 0x2a);
  CHECK(echo->length == 12);
  CHECK(echo->magic == 0x01020304);
  std::array<std::byte, 8> out{};
  CHECK(wire::write_echo(out, *echo) == 8);
  CHECK(test::hex(out) == "092a000c01020304");
  for (std::size_t size = 0; size < packet.size(); ++size)
    CHECK_FALSE(wire::parse_echo(Bytes(packet).first(size)));
  CHECK_FALSE(wire::parse_echo(octets("09 2a 0007 01020304")));
}
