// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/gre.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using test::octets;

namespace {

DropReason reason_of(Bytes packet) {
  const auto parsed = wire::parse_gre(packet);
  return parsed ? DropReason::kNone : parsed.error();
}

}  // namespace

TEST_CASE("gre: data packet with acknowledgement", "[wire][rfc2637-4.1]") {
  // Layout by hand from the diagram of RFC 2637 §4.1: K, S, A, version 1.
  const auto packet = octets("3081 880b 0004 1234 00000007 00000003 c0210901");
  const auto gre = wire::parse_gre(packet);
  REQUIRE(gre);
  CHECK(gre->payload_length == 4);
  CHECK(gre->call_id == 0x1234);
  CHECK(gre->has_sequence);
  CHECK(gre->sequence == 7);
  CHECK(gre->has_ack);
  CHECK(gre->ack == 3);
  CHECK(gre->size() == 16);
}

TEST_CASE("gre: data packet without acknowledgement", "[wire][rfc2637-4.1]") {
  const auto gre = wire::parse_gre(octets("3001 880b 0001 ffff ffffffff 21"));
  REQUIRE(gre);
  CHECK_FALSE(gre->has_ack);
  CHECK(gre->sequence == 0xffffffff);
  CHECK(gre->size() == 12);
}

TEST_CASE("gre: ack-only packet carries no payload", "[wire][rfc2637-4.1]") {
  const auto gre = wire::parse_gre(octets("2081 880b 0000 0001 00000009"));
  REQUIRE(gre);
  CHECK_FALSE(gre->has_sequence);
  CHECK(gre->has_ack);
  CHECK(gre->ack == 9);
  CHECK(gre->size() == 12);
}

TEST_CASE("gre: padding behind the payload is not an error", "[wire][rfc2637-4.1]") {
  CHECK(wire::parse_gre(octets("3001 880b 0001 0001 00000000 21 000000")));
}

TEST_CASE("gre: each bit that must be zero is refused", "[wire][rfc2637-4.1][conformance-26]") {
  for (const unsigned bit :
       {0x8000U, 0x4000U, 0x0800U, 0x0400U, 0x0200U, 0x0100U, 0x0040U, 0x0020U, 0x0010U, 0x0008U}) {
    auto packet = octets("3001 880b 0001 0001 00000000 21");
    const unsigned flags = 0x3001 | bit;
    packet[0] = static_cast<std::byte>(flags >> 8);
    packet[1] = static_cast<std::byte>(flags);
    CAPTURE(bit);
    CHECK(reason_of(packet) == DropReason::gre_flags);
  }
  CHECK(reason_of(octets("1001 880b 0001 0001 00000000 21")) == DropReason::gre_flags);  // K clear
}

TEST_CASE("gre: versions other than 1 and other protocols are refused",
          "[wire][rfc2637-4.1][conformance-26]") {
  for (const unsigned version : {0U, 2U, 3U, 4U, 5U, 6U, 7U}) {
    auto packet = octets("3001 880b 0001 0001 00000000 21");
    packet[1] = static_cast<std::byte>(version);
    CHECK(reason_of(packet) == DropReason::gre_version);
  }
  CHECK(reason_of(octets("3001 0800 0001 0001 00000000 21")) == DropReason::gre_protocol);
}

TEST_CASE("gre: payload length must agree with S and fit", "[wire][rfc2637-4.1][conformance-27]") {
  CHECK(reason_of(octets("3001 880b 0002 0001 00000000 21")) == DropReason::gre_payload_length);
  CHECK(reason_of(octets("3001 880b ffff 0001 00000000 21")) == DropReason::gre_payload_length);
  CHECK(reason_of(octets("3001 880b 0000 0001 00000000")) == DropReason::gre_payload_length);
  CHECK(reason_of(octets("2001 880b 0001 0001 21")) == DropReason::gre_payload_length);
  CHECK(reason_of(octets("2001 880b 0000 0001")) == DropReason::kNone);
}

TEST_CASE("gre: every prefix is refused as truncated or short", "[wire][conformance-27]") {
  const auto packet = octets("3081 880b 0004 1234 00000007 00000003 c0210901");
  for (std::size_t size = 0; size < packet.size(); ++size) {
    CAPTURE(size);
    CHECK(reason_of(Bytes(packet).first(size)) ==
          (size < 16 ? DropReason::gre_truncated : DropReason::gre_payload_length));
  }
}

TEST_CASE("gre: what is written is read back", "[wire]") {
  for (const bool sequence : {false, true})
    for (const bool ack : {false, true}) {
      wire::GreHeader header;
      header.has_sequence = sequence;
      header.has_ack = ack;
      header.payload_length = sequence ? 3 : 0;
      header.call_id = 0xbeef;
      header.sequence = sequence ? 0x01020304 : 0;
      header.ack = ack ? 0xfffffffe : 0;
      std::array<std::byte, 32> out{};
      const std::size_t size = wire::write_gre(out, header);
      REQUIRE(size == header.size());
      const auto back = wire::parse_gre(Bytes(out).first(size + 3));
      REQUIRE(back);
      CHECK(*back == header);
      CHECK(wire::write_gre(std::span(out).first(size - 1), header) == 0);
    }
}
