// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/punt_class.hpp"

#include <catch2/catch.hpp>

#include "tests/support/packets.hpp"

using namespace pns;
using namespace pns::test;
using dataplane::punt_class_of;

namespace {

constexpr std::string_view kOurs = "020000000001";
constexpr std::string_view kTheirs = "020000000011";

Octets tcp(unsigned source, unsigned destination, unsigned flags) {
  Octets segment = pattern(20);
  put16(segment, 0, source);
  put16(segment, 2, destination);
  segment[13] = static_cast<std::byte>(flags);
  return segment;
}
Octets udp(unsigned source, unsigned destination) {
  Octets datagram = pattern(12);
  put16(datagram, 0, source);
  put16(datagram, 2, destination);
  return datagram;
}
Octets four(unsigned protocol, Bytes payload, unsigned flags_offset = 0) {
  return ethernet(kOurs, kTheirs, 0x0800,
                  ip({.source = "192.0.2.1",
                      .destination = "198.51.100.1",
                      .protocol = protocol,
                      .flags_offset = flags_offset},
                     payload));
}
Octets six(unsigned protocol, Bytes payload, unsigned hop_limit = 255) {
  return ethernet(kOurs, kTheirs, 0x86dd,
                  ip6({.source = "2001:db8::1",
                       .destination = "2001:db8::2",
                       .next_header = protocol,
                       .hop_limit = hop_limit},
                      payload));
}
Octets icmp_message(unsigned type) {
  Octets message = pattern(24);
  message[0] = static_cast<std::byte>(type);
  return message;
}

}  // namespace

TEST_CASE("punt class: by what a frame holds", "[dataplane][punt]") {
  struct Row {
    const char* name;
    Octets frame;
    PuntClass wanted;
  };
  Octets options = four(6, concat({octets("94040000"), tcp(9, 1723, 0x02)}));
  options[14] = std::byte{0x46};  // a header of 24 octets
  const std::vector<Row> rows = {
      {"ARP", ethernet(kOurs, kTheirs, 0x0806, pattern(28)), PuntClass::neighbour},
      {"router solicitation", six(58, icmp_message(133)), PuntClass::neighbour},
      {"router advertisement", six(58, icmp_message(134)), PuntClass::neighbour},
      {"neighbor solicitation", six(58, icmp_message(135)), PuntClass::neighbour},
      {"neighbor advertisement", six(58, icmp_message(136)), PuntClass::neighbour},
      {"redirect", six(58, icmp_message(137)), PuntClass::neighbour},
      {"advertisement through a router", six(58, icmp_message(136), 254), PuntClass::icmp},
      {"ping of IPv6", six(58, icmp_message(128)), PuntClass::icmp},
      {"type 138", six(58, icmp_message(138)), PuntClass::icmp},
      {"ping", four(1, icmp_message(8)), PuntClass::icmp},
      {"SYN to 1723", four(6, tcp(40'000, 1723, 0x02)), PuntClass::control_open},
      {"SYN with ECN bits", four(6, tcp(40'000, 1723, 0xc2)), PuntClass::control_open},
      {"SYN behind options", options, PuntClass::control_open},
      {"SYN ACK of a PAC", four(6, tcp(1723, 40'000, 0x12)), PuntClass::control},
      {"data to 1723", four(6, tcp(40'000, 1723, 0x18)), PuntClass::control},
      {"FIN to 1723", four(6, tcp(40'000, 1723, 0x11)), PuntClass::control},
      {"RST to 1723", four(6, tcp(40'000, 1723, 0x04)), PuntClass::control},
      {"SSH", four(6, tcp(40'000, 22, 0x18)), PuntClass::other},
      {"BGP to us", four(6, tcp(40'000, 179, 0x02)), PuntClass::routing},
      {"BGP from a peer that we opened", four(6, tcp(179, 40'000, 0x18)), PuntClass::routing},
      {"BGP over IPv6", six(6, tcp(179, 40'000, 0x18)), PuntClass::routing},
      {"OSPF", four(89, pattern(44)), PuntClass::routing},
      {"OSPFv3", six(89, pattern(44)), PuntClass::routing},
      {"VRRP", four(112, pattern(20)), PuntClass::routing},
      {"BFD", four(17, udp(49'152, 3784)), PuntClass::routing},
      {"BFD echo", four(17, udp(49'152, 3785)), PuntClass::routing},
      {"multihop BFD", four(17, udp(49'152, 4784)), PuntClass::routing},
      {"from the port of BFD", four(17, udp(3784, 49'152)), PuntClass::other},
      {"DNS", four(17, udp(40'000, 53)), PuntClass::other},
      {"first fragment of a SYN", four(6, tcp(9, 1723, 0x02), 0x2000), PuntClass::other},
      {"later fragment", four(1, icmp_message(8), 0x0010), PuntClass::other},
      {"LLDP", ethernet(kOurs, kTheirs, 0x88cc, pattern(40)), PuntClass::other},
      {"VLAN tag", ethernet(kOurs, kTheirs, 0x8100, pattern(40)), PuntClass::other},
      {"GRE to no address of ours", four(47, pattern(20)), PuntClass::other},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK(punt_class_of(row.frame) == row.wanted);
  }
}

TEST_CASE("punt class: a frame that ends early is never read beyond its end", "[dataplane][punt]") {
  for (const Octets& frame :
       {four(6, tcp(40'000, 1723, 0x02)), four(17, udp(1, 3784)), six(58, icmp_message(135)),
        six(6, tcp(179, 1, 0x10)), ethernet(kOurs, kTheirs, 0x0806, pattern(28))})
    for (std::size_t length = 0; length <= frame.size(); ++length) {
      // A heap block of that size: ASan sees an octet too far.
      const Octets part(frame.begin(), frame.begin() + static_cast<long>(length));
      const PuntClass found = punt_class_of(part);
      CHECK(static_cast<std::size_t>(found) < kPuntClassCount);
      if (length < 14) CHECK(found == PuntClass::other);
    }
  // A header length beyond the packet.
  Octets frame = four(6, tcp(40'000, 1723, 0x02));
  frame[14] = std::byte{0x4f};
  CHECK(punt_class_of(frame) == PuntClass::other);
  frame[14] = std::byte{0x41};
  CHECK(punt_class_of(frame) == PuntClass::other);
}

TEST_CASE("punt class: every ring is a power of two, and every class has a rate", "[punt]") {
  for (const PuntClassInfo& listed : kPuntClasses) {
    INFO(listed.name);
    CHECK(listed.rate > 0);
    CHECK((listed.ring >= 64 && (listed.ring & (listed.ring - 1)) == 0));
  }
}
