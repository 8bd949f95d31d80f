// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/udp.hpp"

#include <catch2/catch.hpp>

#include "tests/support/packets.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::wire;

namespace {

// A checksum as RFC 768 wants it, by the tests' own sum.
Octets datagram(std::string_view destination, std::size_t size) {
  Octets out = octets("0089 008a 0000 0000");
  const Octets payload = pattern(size);
  out.insert(out.end(), payload.begin(), payload.end());
  put16(out, 4, static_cast<unsigned>(out.size()));
  Octets all = octets("0a40004d 00000000 0011 0000");
  put32(all, 4, address(destination));
  put16(all, 10, static_cast<unsigned>(out.size()));
  const unsigned sum = checksum(concat({all, out}));
  put16(out, 6, sum == 0 ? 0xffff : sum);
  return ip({.source = "10.64.0.77", .destination = destination, .ttl = 1}, out);
}

std::optional<UdpHeader> parse(const Octets& packet) {
  return parse_udp(packet, parse_ipv4(packet).value());
}

}  // namespace

TEST_CASE("udp: the ports of a whole datagram", "[wire][rfc768]") {
  const Octets packet = datagram("10.64.0.255", 20);
  CHECK(parse(packet) == UdpHeader{137, 138});
  // Octets behind the datagram belong to nobody.
  Octets shorter = packet;
  put16(shorter, 24, 8);
  CHECK(parse(shorter) == UdpHeader{137, 138});
}

TEST_CASE("udp: what is no whole datagram is refused", "[wire][rfc768]") {
  const Octets packet = datagram("10.64.0.255", 20);
  const auto header = parse_ipv4(packet).value();
  for (std::size_t size = 0; size < packet.size(); ++size)
    CHECK_FALSE(parse_udp(Bytes(packet).first(size), header));
  for (const unsigned length : {0U, 7U, 29U, 0xffffU}) {
    Octets wrong = packet;
    put16(wrong, 24, length);
    CHECK_FALSE(parse(wrong));
  }
  CHECK_FALSE(parse(
      ip({.source = "10.64.0.77", .destination = "10.64.0.255", .protocol = 6}, pattern(20))));
  for (const unsigned fragment : {0x2000U, 0x0001U})
    CHECK_FALSE(
        parse(ip({.source = "10.64.0.77", .destination = "10.64.0.255", .flags_offset = fragment},
                 Bytes(packet).subspan(20))));
  CHECK_FALSE(parse(ip({.source = "10.64.0.77", .destination = "10.64.0.255"}, pattern(7))));
}

TEST_CASE("udp: another destination, and both checksums are right", "[wire][rfc1624]") {
  // Every sum comes up, the one that is sent as its complement too.
  for (std::size_t size = 0; size < 300; ++size) {
    Octets packet = datagram("10.64.0.255", size);
    redirect_udp(packet, parse_ipv4(packet).value(), Ipv4Address(0xffffffff));
    CHECK(hex(packet) == hex(datagram("255.255.255.255", size)));
  }
  Octets without = datagram("10.64.0.255", 20);
  put16(without, 26, 0);
  redirect_udp(without, parse_ipv4(without).value(), Ipv4Address(0xffffffff));
  Octets expected = datagram("255.255.255.255", 20);
  put16(expected, 26, 0);
  CHECK(hex(without) == hex(expected));
  // A sum that becomes 0 is sent as all ones: the payload is chosen so.
  Octets zero = datagram("255.255.255.255", 2);
  const unsigned sum = get16(zero, 26);
  put16(zero, 28, (get16(zero, 28) + sum) % 0xffff);
  Octets before = zero;
  put32(before, 16, address("10.64.0.255"));
  put16(before, 10, 0);
  put16(before, 10, checksum(Bytes(before).first(20)));
  put16(before, 26, 0);
  Octets all = octets("0a40004d 0a4000ff 0011 000a");
  put16(before, 26, checksum(concat({all, Bytes(before).subspan(20)})));
  redirect_udp(before, parse_ipv4(before).value(), Ipv4Address(0xffffffff));
  CHECK(get16(before, 26) == 0xffff);
}
