// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ipv4.hpp"

#include <catch2/catch.hpp>

#include "pns/wire/checksum.hpp"
#include "pns/wire/ethernet.hpp"
#include "pns/wire/icmp.hpp"
#include "pns/wire/tcp.hpp"
#include "tests/support/octets.hpp"

using namespace pns;
using test::octets;

namespace {

// The header used as the worked example of the checksum in Wikipedia, "Internet checksum":
// UDP, 192.168.0.1 → 192.168.0.199, DF, TTL 64, checksum b861.
const test::Octets kExample = octets("4500 0073 0000 4000 4011 b861 c0a80001 c0a800c7");

DropReason reason_of(Bytes packet) {
  const auto parsed = wire::parse_ipv4(packet);
  return parsed ? DropReason::kNone : parsed.error();
}

test::Octets example_packet() {
  auto packet = kExample;
  packet.resize(0x73);
  return packet;
}

}  // namespace

TEST_CASE("checksum: the worked example", "[wire][rfc1071]") {
  auto header = kExample;
  CHECK(wire::internet_checksum(header) == 0);
  header[10] = header[11] = std::byte{0};
  CHECK(wire::internet_checksum(header) == 0xb861);
}

TEST_CASE("checksum: RFC 1071 §3 sum and an odd octet", "[wire][rfc1071]") {
  // RFC 1071 §3: 0001 f203 f4f5 f6f7 sums to ddf2.
  CHECK(wire::internet_checksum(octets("0001 f203 f4f5 f6f7")) ==
        static_cast<std::uint16_t>(~0xddf2));
  CHECK(wire::internet_checksum(octets("01")) == static_cast<std::uint16_t>(~0x0100));
  CHECK(wire::internet_checksum({}) == 0xffff);
}

TEST_CASE("checksum: incremental update gives RFC 1624's answer", "[wire][rfc1624]") {
  // RFC 1624 §4: checksum dd2f, word 5555 becomes 3285, new checksum 0000.
  CHECK(wire::update_checksum(0xdd2f, 0x5555, 0x3285) == 0x0000);
}

TEST_CASE("ipv4: the worked example parses", "[wire][rfc791]") {
  const auto packet = example_packet();
  const auto header = wire::parse_ipv4(packet);
  REQUIRE(header);
  CHECK(header->header_length == 20);
  CHECK(header->total_length == 0x73);
  CHECK(header->dont_fragment);
  CHECK_FALSE(header->is_fragment());
  CHECK(header->time_to_live == 64);
  CHECK(header->protocol == wire::kIpProtocolUdp);
  CHECK(header->source == Ipv4Address(0xc0a80001));
  CHECK(header->destination == Ipv4Address(0xc0a800c7));
}

TEST_CASE("ipv4: what is written is read back", "[wire]") {
  wire::Ipv4Header header;
  header.total_length = 24;
  header.type_of_service = 0xb8;
  header.identification = 0xabcd;
  header.more_fragments = true;
  header.fragment_offset = 1480;
  header.time_to_live = 7;
  header.protocol = 47;
  header.source = Ipv4Address(0x0a000001);
  header.destination = Ipv4Address(0xc6336401);
  std::array<std::byte, 24> out{};
  REQUIRE(wire::write_ipv4(out, header) == 20);
  const auto back = wire::parse_ipv4(out);
  REQUIRE(back);
  CHECK(*back == header);
  CHECK(wire::write_ipv4(std::span(out).first(19), header) == 0);
}

TEST_CASE("ipv4: every kind of bad header has its reason", "[wire][rfc791][conformance-56]") {
  const auto good = example_packet();
  const auto with = [&](std::size_t at, unsigned value) {
    auto packet = good;
    packet[at] = static_cast<std::byte>(value);
    return packet;
  };
  CHECK(reason_of(with(0, 0x65)) == DropReason::ip_version);
  CHECK(reason_of(with(0, 0x44)) == DropReason::ip_header_length);
  CHECK(reason_of(Bytes(with(0, 0x4f)).first(40)) == DropReason::ip_header_length);
  CHECK(reason_of(with(3, 0x74)) == DropReason::ip_total_length);
  CHECK(reason_of(with(3, 0x13)) == DropReason::ip_total_length);
  CHECK(reason_of(with(8, 63)) == DropReason::ip_checksum);
  for (std::size_t size = 0; size < good.size(); ++size)
    CHECK(reason_of(Bytes(good).first(size)) ==
          (size < 20 ? DropReason::frame_truncated : DropReason::ip_total_length));
}

TEST_CASE("ipv4: decrementing the TTL keeps the checksum right for every TTL", "[wire][rfc1624]") {
  for (unsigned ttl = 1; ttl < 256; ++ttl) {
    wire::Ipv4Header header;
    header.total_length = 20;
    header.time_to_live = static_cast<std::uint8_t>(ttl);
    header.identification = static_cast<std::uint16_t>(ttl * 257);
    header.protocol = static_cast<std::uint8_t>(255 - ttl);
    std::array<std::byte, 20> packet{};
    wire::write_ipv4(packet, header);
    wire::decrement_ttl(packet);
    const auto back = wire::parse_ipv4(packet);
    REQUIRE(back);
    CHECK(back->time_to_live == ttl - 1);
  }
}

TEST_CASE("ipv4: destinations nobody forwards to", "[wire][rfc1812-5.3.7][conformance-55]") {
  for (const char* address : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255",
                              "240.0.0.1", "255.255.255.255"})
    CHECK(wire::is_unforwardable(*Ipv4Address::parse(address)));
  for (const char* address :
       {"1.0.0.1", "10.0.0.1", "126.255.255.255", "128.0.0.1", "223.255.255.255"})
    CHECK_FALSE(wire::is_unforwardable(*Ipv4Address::parse(address)));
}

TEST_CASE("ethernet: header and every prefix", "[wire]") {
  const auto frame = octets("ffffffffffff 020000000001 0800 45");
  const auto header = wire::parse_ethernet(frame);
  REQUIRE(header);
  CHECK(wire::is_multicast(header->destination));
  CHECK_FALSE(wire::is_multicast(header->source));
  CHECK(header->type.host() == wire::kEtherTypeIpv4);
  std::array<std::byte, 14> out{};
  CHECK(wire::write_ethernet(out, *header) == 14);
  CHECK(std::equal(out.begin(), out.end(), frame.begin()));
  for (std::size_t size = 0; size < 14; ++size)
    CHECK(wire::parse_ethernet(Bytes(frame).first(size)).error() == DropReason::frame_truncated);
}

TEST_CASE("icmp: fragmentation needed quotes the packet and names the MTU", "[wire][rfc1191-4]") {
  const auto packet = example_packet();
  const auto header = wire::parse_ipv4(packet);
  REQUIRE(header);
  std::array<std::byte, 600> out{};
  const std::size_t size = wire::write_icmp_error(
      out, {wire::kIcmpDestinationUnreachable, wire::kIcmpCodeFragmentationNeeded, 1396},
      Ipv4Address(0x0a400001), *header, packet);
  REQUIRE(size == 28 + packet.size());
  const auto outer = wire::parse_ipv4(Bytes(out).first(size));
  REQUIRE(outer);
  CHECK(outer->protocol == wire::kIpProtocolIcmp);
  CHECK(outer->source == Ipv4Address(0x0a400001));
  CHECK(outer->destination == header->source);
  const Bytes icmp = Bytes(out).subspan(20, size - 20);
  CHECK(wire::internet_checksum(icmp) == 0);
  CHECK(test::hex(icmp.first(2)) == "0304");
  CHECK(test::hex(icmp.subspan(4, 4)) == "00000574");
  CHECK(std::equal(packet.begin(), packet.end(), icmp.begin() + 8));
  CHECK(wire::write_icmp_error(std::span(out).first(size - 1), {}, {}, *header, packet) == 0);
}

TEST_CASE("icmp: an error is never longer than 576 octets", "[wire][rfc1812-4.3.2.3]") {
  auto packet = example_packet();
  packet.resize(1500);
  packet[2] = std::byte{0x05};
  packet[3] = std::byte{0xdc};
  wire::Ipv4Header header;
  header.total_length = 1500;
  header.source = Ipv4Address(0x0a000001);
  header.destination = Ipv4Address(0x0a000002);
  std::array<std::byte, 2000> out{};
  CHECK(wire::write_icmp_error(out, {}, Ipv4Address(1), header, packet) == 576);
}

TEST_CASE("icmp: what must not cause an error", "[wire][rfc1812-4.3.2.7]") {
  wire::Ipv4Header header;
  header.total_length = 28;
  header.protocol = wire::kIpProtocolUdp;
  header.source = Ipv4Address(0x0a000001);
  header.destination = Ipv4Address(0x0a000002);
  test::Octets packet(28);
  CHECK(wire::may_cause_icmp_error(header, packet));
  SECTION("a fragment but the first") {
    header.fragment_offset = 8;
    CHECK_FALSE(wire::may_cause_icmp_error(header, packet));
  }
  SECTION("a source that is no host") {
    header.source = Ipv4Address(0xe0000001);
    CHECK_FALSE(wire::may_cause_icmp_error(header, packet));
  }
  SECTION("an ICMP error, but not an Echo") {
    header.protocol = wire::kIpProtocolIcmp;
    packet[20] = std::byte{11};
    CHECK_FALSE(wire::may_cause_icmp_error(header, packet));
    packet[20] = std::byte{8};
    CHECK(wire::may_cause_icmp_error(header, packet));
    CHECK_FALSE(wire::may_cause_icmp_error(header, Bytes(packet).first(20)));
  }
}

namespace {

// IPv4 + TCP with the options given; checksums right.
test::Octets syn_with(Bytes options, unsigned flags = 0x02) {
  test::Octets packet(40 + options.size());
  std::copy(options.begin(), options.end(), packet.begin() + 40);
  wire::Ipv4Header header;
  header.total_length = static_cast<std::uint16_t>(packet.size());
  header.time_to_live = 64;
  header.protocol = wire::kIpProtocolTcp;
  header.source = Ipv4Address(0x0a000001);
  header.destination = Ipv4Address(0x0a000002);
  wire::write_ipv4(packet, header);
  packet[32] = static_cast<std::byte>(((20 + options.size()) / 4) << 4);
  packet[33] = static_cast<std::byte>(flags);
  return packet;
}

// RFC 9293 §3.1: over the pseudo-header and the segment.
std::uint16_t tcp_checksum(Bytes packet) {
  test::Octets sum = test::concat({packet.subspan(12, 8)});
  const auto length = packet.size() - 20;
  const auto tail = octets("0006");
  sum.insert(sum.end(), tail.begin(), tail.end());
  sum.push_back(static_cast<std::byte>(length >> 8));
  sum.push_back(static_cast<std::byte>(length));
  const auto segment = packet.subspan(20);
  sum.insert(sum.end(), segment.begin(), segment.end());
  return wire::internet_checksum(sum);
}

bool clamp(test::Octets& packet, std::uint16_t limit) {
  const auto header = wire::parse_ipv4(packet);
  REQUIRE(header);
  return wire::clamp_mss(packet, *header, limit);
}

}  // namespace

TEST_CASE("mss: a SYN's MSS is lowered and the checksum stays right", "[wire][rfc4459]") {
  for (const char* options :
       {"020405b4", "0101 020405b4 0101", "01 020405b4 010101", "0402 020405b4 0101"}) {
    auto packet = syn_with(octets(options));
    const std::uint16_t checksum = tcp_checksum(packet);
    packet[36] = static_cast<std::byte>(checksum >> 8);
    packet[37] = static_cast<std::byte>(checksum);
    REQUIRE(tcp_checksum(packet) == 0);
    CAPTURE(options);
    CHECK(clamp(packet, 1356));
    CHECK(test::hex(packet).find("0204054c") != std::string::npos);
    CHECK(tcp_checksum(packet) == 0);
    CHECK_FALSE(clamp(packet, 1356));
  }
}

TEST_CASE("mss: only SYNs with a larger MSS are touched", "[wire][rfc4459]") {
  auto small = syn_with(octets("02040218"));
  CHECK_FALSE(clamp(small, 1356));
  auto ack = syn_with(octets("020405b4"), 0x10);
  CHECK_FALSE(clamp(ack, 1356));
  auto syn_ack = syn_with(octets("020405b4"), 0x12);
  CHECK(clamp(syn_ack, 1356));
  auto none = syn_with({});
  CHECK_FALSE(clamp(none, 1356));
}

TEST_CASE("mss: malformed options end the walk", "[wire][conformance-57]") {
  // Lengths 0 and 1, beyond the end, a lone kind at the end, MSS of a wrong length.
  for (const char* options : {"0200 05b4", "0201 05b4", "08ff 020405b4 0000", "010101 02",
                              "0203 05b4", "00 020405b4 000000", "0500 020405b4 0000"}) {
    auto packet = syn_with(octets(options));
    const auto before = packet;
    CAPTURE(options);
    CHECK_FALSE(clamp(packet, 536));
    CHECK(packet == before);
  }
}

TEST_CASE("mss: a data offset that lies stays inside the packet", "[wire][conformance-57]") {
  for (unsigned offset = 0; offset < 16; ++offset)
    for (std::size_t cut = 0; cut <= 8; ++cut) {
      auto packet = syn_with(octets("0101 0402 01010101"));
      packet[32] = static_cast<std::byte>(offset << 4);
      packet.resize(packet.size() - cut);
      wire::Ipv4Header header;
      header.protocol = wire::kIpProtocolTcp;
      header.total_length = static_cast<std::uint16_t>(packet.size());
      CHECK_FALSE(wire::clamp_mss(packet, header, 536));
    }
}
