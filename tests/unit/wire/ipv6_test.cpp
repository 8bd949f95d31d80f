// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/ipv6.hpp"

#include <catch2/catch.hpp>

#include "pns/wire/icmpv6.hpp"
#include "pns/wire/tcp.hpp"
#include "tests/support/packets.hpp"

using namespace pns;
using namespace pns::test;

namespace {

// Packets of Linux 6.18 over a veth pair between fe80::1 and fe80::2, read from a packet socket:
// the answer to a ping of 8 octets, a Router Solicitation, and the solicitation of its duplicate
// address detection, with the nonce of RFC 7527.
const Octets kEchoReply = octets(
    "600d3641 0010 3a40 fe800000000000000000000000000002 fe800000000000000000000000000001"
    "8100 1e4e 5751 0001 0001020304050607");
const Octets kRouterSolicitation = octets(
    "60000000 0010 3aff fe8000000000000094fe76fffef0fa59 ff020000000000000000000000000002"
    "8500 6e9c 00000000 0101 96fe76f0fa59");
const Octets kDuplicateDetection = octets(
    "60000000 0020 3aff 00000000000000000000000000000000 ff0200000000000000000001fff0fa59"
    "8700 d10e 00000000 fe8000000000000094fe76fffef0fa59 0e01 f79bac2af8b5");

Ipv6Address at(const char* text) { return Ipv6Address::parse(text).value(); }

Octets packet_of(std::string_view payload, unsigned next_header,
                 std::string_view source = "2001:db8::1",
                 std::string_view destination = "2001:db8::2") {
  return ip6({.source = source, .destination = destination, .next_header = next_header},
             octets(payload));
}

// "protocol@offset", "protocol@offset later", or "none".
std::string upper(Bytes packet) {
  const auto header = wire::parse_ipv6(packet);
  REQUIRE(header);
  const auto found = wire::find_upper_layer(packet, *header);
  if (!found) return "none";
  return std::to_string(found->protocol) + "@" + std::to_string(found->offset) +
         (found->later_fragment ? " later" : "");
}

bool may(Bytes packet) {
  const auto header = wire::parse_ipv6(packet);
  REQUIRE(header);
  return wire::may_cause_icmp_error(*header, packet);
}

}  // namespace

TEST_CASE("ipv6: header and every prefix", "[wire][rfc8200-3]") {
  const auto header = wire::parse_ipv6(kEchoReply);
  REQUIRE(header);
  CHECK(header->traffic_class == 0);
  CHECK(header->flow_label == 0xd3641);
  CHECK(header->payload_length == 16);
  CHECK(header->total_length() == 56);
  CHECK(header->next_header == wire::kIpProtocolIcmpv6);
  CHECK(header->hop_limit == 64);
  CHECK(header->source == at("fe80::2"));
  CHECK(header->destination == at("fe80::1"));
  for (std::size_t size = 0; size < kEchoReply.size(); ++size)
    CHECK(wire::parse_ipv6(Bytes(kEchoReply).first(size)).error() ==
          (size < 40 ? DropReason::frame_truncated : DropReason::ip_total_length));
  Octets padded = kEchoReply;
  padded.resize(99);
  CHECK(wire::parse_ipv6(padded) == header);
  for (const unsigned version : {0x00U, 0x45U, 0x50U, 0x70U, 0xf0U}) {
    padded[0] = static_cast<std::byte>(version);
    CHECK(wire::parse_ipv6(padded).error() == DropReason::ip_version);
  }
}

TEST_CASE("ipv6: what is written is read back", "[wire]") {
  const wire::Ipv6Header header{0xb8, 0xabcde, 4, 17, 9, at("2001:db8:1:2:3:4:5:6"), at("ff02::1")};
  std::array<std::byte, 44> out{};
  REQUIRE(wire::write_ipv6(out, header) == 40);
  CHECK(wire::parse_ipv6(out) == header);
  CHECK(wire::read_ipv6(out) == header);
  CHECK(wire::hop_limit(out) == 9);
  wire::decrement_hop_limit(out);
  CHECK(wire::hop_limit(out) == 8);
  CHECK(wire::write_ipv6(std::span(out).first(39), header) == 0);
}

TEST_CASE("ipv6: a jumbogram is refused, an empty packet is not", "[wire][rfc2675-3]") {
  Octets jumbo = packet_of("3b00 c204 00010000", 0);
  put16(jumbo, 4, 0);
  CHECK(wire::parse_ipv6(jumbo).error() == DropReason::ip_total_length);
  CHECK(wire::parse_ipv6(packet_of("", 59)));
}

TEST_CASE("ipv6: addresses nobody forwards to or from", "[wire][rfc4291]") {
  for (const char* text :
       {"::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "febf::1", "ff02::1", "ff0e::1"})
    CHECK(wire::is_unforwardable(at(text)));
  for (const char* text :
       {"2001:db8::1", "fc00::1", "fec0::1", "64:ff9b::a00:1", "fe00::1", "::1:0:0:0"})
    CHECK_FALSE(wire::is_unforwardable(at(text)));
  CHECK(wire::multicast_scope(at("ff02::1")) == wire::kScopeLink);
  CHECK(wire::multicast_scope(at("ff3e:30::1")) == 14);
}

TEST_CASE("ipv6: the walk over extension headers", "[wire][rfc8200-4]") {
  CHECK(upper(packet_of("00", 6)) == "6@40");
  CHECK(upper(packet_of("", 59)) == "59@40");
  CHECK(upper(packet_of("", 6)) == "6@40");
  CHECK(upper(packet_of("0600 010400000000 aa", 0)) == "6@48");
  CHECK(upper(packet_of("0601 010c 00000000 00000000 00000000", 60)) == "6@56");
  CHECK(upper(packet_of("2b00 010400000000 3c00 000000000000 1100 010400000000 ff", 0)) == "17@64");
  // Authentication counts in words of four, less two.
  CHECK(upper(packet_of("0604 0000 00000000 00000000 00000000 00000000 00000000", 51)) == "6@64");
  CHECK(upper(packet_of("0600 0000 00000000", 51)) == "6@48");
  // Fragments: the first one and later ones.
  CHECK(upper(packet_of("1100 0001 00000007 1234", 44)) == "17@48");
  CHECK(upper(packet_of("1100 0010 00000007 1234", 44)) == "17@48 later");
  // Ends inside a header.
  CHECK(upper(packet_of("06", 0)) == "none");
  CHECK(upper(packet_of("0600 0104000000", 0)) == "none");
  CHECK(upper(packet_of("0601 0104000000000000000000", 60)) == "none");
  CHECK(upper(packet_of("06ff 010400000000", 43)) == "none");
  CHECK(upper(packet_of("1100 0010 000000", 44)) == "none");
}

TEST_CASE("ipv6: eight extension headers, not nine", "[wire][conformance-57]") {
  std::string eight;
  for (unsigned n = 0; n < 7; ++n) eight += "3c00 010400000000 ";
  CHECK(upper(packet_of(eight + "0600 010400000000", 60)) == "6@104");
  CHECK(upper(packet_of("3c00 010400000000" + eight + "0600 010400000000", 60)) == "none");
}

TEST_CASE("icmpv6: the checksum of a real packet", "[wire][rfc8200-8.1]") {
  Octets packet = kEchoReply;
  CHECK(wire::upper_layer_checksum(packet, 40, 58) == 0);
  put16(packet, 42, 0);
  CHECK(wire::upper_layer_checksum(packet, 40, 58) == 0x1e4e);
  packet.push_back(std::byte{7});  // an odd octet
  put16(packet, 42, 0);
  CHECK(wire::upper_layer_checksum(packet, 40, 58) == checksum6(packet, 58));
}

TEST_CASE("icmpv6: our answer to an Echo Request is Linux's", "[wire][rfc4443-4.2]") {
  Octets packet = icmp6({.source = "fe80::1", .destination = "fe80::2", .hop_limit = 64},
                        octets("8000 0000 5751 0001 0001020304050607"));
  put32(packet, 0, 0x600d3641);
  const auto header = wire::parse_ipv6(packet);
  REQUIRE(header);
  REQUIRE(wire::answer_echo(packet, *header));
  CHECK(hex(packet) == hex(kEchoReply));
}

TEST_CASE("icmpv6: Linux's solicitations are right", "[wire][rfc4861-6.1.1][rfc4861-7.1.1]") {
  const auto router = wire::parse_ipv6(kRouterSolicitation);
  REQUIRE(router);
  CHECK(wire::is_valid_router_solicitation(kRouterSolicitation, *router));
  const auto neighbor = wire::parse_ipv6(kDuplicateDetection);
  REQUIRE(neighbor);
  CHECK(wire::neighbor_solicitation_target(kDuplicateDetection, *neighbor) ==
        at("fe80::94fe:76ff:fef0:fa59"));
  CHECK(neighbor->source.is_unspecified());
}

TEST_CASE("icmpv6: an Echo Request becomes its reply", "[wire][rfc4443-4.2]") {
  Octets packet = icmp6({.source = "fe80::1", .destination = "fe80::2", .hop_limit = 3},
                        octets("8000 0000 1234 0001 616263"));
  const auto header = wire::parse_ipv6(packet);
  REQUIRE(header);
  REQUIRE(wire::answer_echo(packet, *header));
  CHECK(hex(packet) == hex(icmp6({.source = "fe80::2", .destination = "fe80::1"},
                                 octets("8100 0000 1234 0001 616263"))));
  // A reply is none, nor is another code, another protocol or half a header.
  const auto refuses = [](Octets other) {
    const auto parsed = wire::parse_ipv6(other);
    REQUIRE(parsed);
    const Octets before = other;
    CHECK_FALSE(wire::answer_echo(other, *parsed));
    CHECK(other == before);
  };
  refuses(packet);
  refuses(packet_of("8001 0000 1234 0001", 58));
  refuses(packet_of("8000 0000 1234 0001", 17));
  refuses(packet_of("8000 0000 1234 00", 58));
}

TEST_CASE("icmpv6: an error quotes the packet, 1,280 octets in all", "[wire][rfc4443-2.4]") {
  const Octets packet = packet_of("11223344 55667788", 17);
  const auto header = wire::parse_ipv6(packet);
  REQUIRE(header);
  std::array<std::byte, 2000> out{};
  const std::size_t size = wire::write_icmp_error(out, {wire::kIcmpv6PacketTooBig, 0, 1400},
                                                  at("2001:db8::99"), *header, packet);
  CHECK(hex(Bytes(out).first(size)) ==
        hex(icmp6({.source = "2001:db8::99", .destination = "2001:db8::1"},
                  concat({octets("0200 0000 00000578"), packet}))));
  CHECK(wire::write_icmp_error(std::span(out).first(size - 1), {}, {}, *header, packet) == 0);
  const Octets longer = ip6({.source = "2001:db8::1", .destination = "2001:db8::2"}, pattern(1400));
  const auto other = wire::parse_ipv6(longer);
  REQUIRE(other);
  REQUIRE(wire::write_icmp_error(out, {}, at("2001:db8::99"), *other, longer) == 1280);
  CHECK(wire::upper_layer_checksum(Bytes(out).first(1280), 40, 58) == 0);
}

TEST_CASE("icmpv6: what must not cause an error", "[wire][rfc4443-2.4]") {
  CHECK(may(packet_of("00", 17)));
  CHECK(may(packet_of("80", 58)));
  CHECK(may(packet_of("8600", 58)));
  for (const char* error : {"01", "02", "03", "04", "7f", "89"})
    CHECK_FALSE(may(packet_of(error, 58)));
  CHECK_FALSE(may(packet_of("", 58)));
  CHECK_FALSE(may(packet_of("3a00 010400000000 01", 60)));
  CHECK(may(packet_of("3a00 010400000000 80", 60)));
  CHECK_FALSE(may(packet_of("3a00 0010 00000001 80", 44)));  // what it is stands elsewhere
  CHECK(may(packet_of("1100 0010 00000001 80", 44)));
  CHECK_FALSE(may(packet_of("1100 01", 60)));
  for (const char* source : {"::", "::1", "ff02::1"}) CHECK_FALSE(may(packet_of("00", 17, source)));
  CHECK_FALSE(may(packet_of("00", 17, "2001:db8::1", "ff0e::1")));
}

TEST_CASE("icmpv6: a Neighbor Advertisement of ours", "[wire][rfc4861-4.4]") {
  std::array<std::byte, 64> out{};
  REQUIRE(wire::write_neighbor_advertisement(out, at("fe80::1"), at("fe80::2")) == 64);
  CHECK(hex(out) == hex(icmp6({.source = "fe80::1", .destination = "fe80::2", .hop_limit = 255},
                              concat({octets("8800 0000 c0000000"), address6("fe80::1")}))));
  CHECK(wire::write_neighbor_advertisement(std::span(out).first(63), {}, {}) == 0);
}

TEST_CASE("icmpv6: every prefix of a solicitation is refused", "[wire][rfc4861-7.1.1]") {
  const Octets neighbor = icmp6(
      {.source = "fe80::2", .destination = "ff02::1:ff00:1", .hop_limit = 255},
      concat({octets("8700 0000 00000000"), address6("fe80::1"), octets("0101 020304050607")}));
  const Octets router = icmp6({.source = "fe80::2", .destination = "ff02::2", .hop_limit = 255},
                              octets("8500 0000 00000000 0101 020304050607"));
  const auto target_of = [](Bytes packet) {
    return wire::neighbor_solicitation_target(packet, wire::read_ipv6(packet));
  };
  CHECK(target_of(neighbor) == at("fe80::1"));
  CHECK(wire::is_valid_router_solicitation(router, wire::read_ipv6(router)));
  CHECK(wire::icmpv6_type(router, wire::read_ipv6(router)) == wire::kIcmpv6RouterSolicitation);
  for (std::size_t size = 40; size < neighbor.size(); ++size) {
    Octets cut(neighbor.begin(), neighbor.begin() + static_cast<long>(size));
    put16(cut, 4, static_cast<unsigned>(size - 40));
    CHECK_FALSE(target_of(cut));
  }
  for (std::size_t size = 40; size < router.size(); ++size) {
    Octets cut(router.begin(), router.begin() + static_cast<long>(size));
    put16(cut, 4, static_cast<unsigned>(size - 40));
    CHECK_FALSE(wire::is_valid_router_solicitation(cut, wire::read_ipv6(cut)));
    CHECK(wire::icmpv6_type(cut, wire::read_ipv6(cut)).has_value() == (size > 40));
  }
}

TEST_CASE("mss: over IPv6, directly and behind extension headers", "[wire][rfc4459]") {
  const char* const tcp = "0401 0050 00000001 00000000 6002 2000 0000 0000 020405b4";
  for (const char* extension : {"", "0600 010400000000", "0600 0001 00000007"}) {
    const Octets before = octets(extension);
    const unsigned next = before.empty()                               ? 6U
                          : extension[5] == '0' && extension[8] == '1' ? 44U
                                                                       : 0U;
    Octets packet =
        ip6({.source = "2001:db8::1", .destination = "2001:db8::2", .next_header = next},
            concat({before, octets(tcp)}));
    const std::size_t at_tcp = 40 + before.size();
    // The sum over TCP alone, as if nothing were before it.
    const auto sum = [&] {
      Octets plain(packet.begin(), packet.begin() + 40);
      plain.insert(plain.end(), packet.begin() + static_cast<long>(at_tcp), packet.end());
      return checksum6(plain, 6);
    };
    put16(packet, at_tcp + 16, sum());
    REQUIRE(sum() == 0);
    const auto header = wire::parse_ipv6(packet);
    REQUIRE(header);
    CAPTURE(extension);
    CHECK(wire::clamp_mss(packet, *header, 1340));
    CHECK(get16(packet, at_tcp + 22) == 1340);
    CHECK(sum() == 0);
    CHECK_FALSE(wire::clamp_mss(packet, *header, 1340));
  }
  // UDP, a later fragment, a header that is cut.
  for (auto packet : {packet_of(tcp, 17), packet_of(std::string("0600 0010 00000007") + tcp, 44),
                      packet_of("0401 0050 00000001 00000000 6002 2000 0000 00", 6)}) {
    const auto header = wire::parse_ipv6(packet);
    REQUIRE(header);
    CHECK_FALSE(wire::clamp_mss(packet, *header, 536));
  }
}
