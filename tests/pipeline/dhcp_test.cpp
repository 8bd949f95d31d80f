// SPDX-License-Identifier: BSD-3-Clause
//
// DHCPINFORM inside a tunnel: to the control process and nowhere else.
#include <catch2/catch.hpp>

#include "tests/pipeline/world.hpp"

using namespace pns;
using namespace pns::test;
using Counts = std::map<std::string, std::uint64_t>;

namespace {

Octets message(const Subscriber& s, std::string_view options, std::string_view ciaddr = "") {
  Octets out = octets("01080600 11223344 00000000");
  out.resize(28 + 16 + 192);
  put32(out, 12, address(ciaddr.empty() ? std::string_view(s.address) : ciaddr));
  const Octets rest = octets(options);
  const Octets cookie = octets("63825363");
  out.insert(out.end(), cookie.begin(), cookie.end());
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

Octets udp(const Subscriber& s, std::string_view destination, unsigned port, const Octets& payload,
           unsigned flags_offset = 0) {
  Octets datagram(8);
  put16(datagram, 0, 68);
  put16(datagram, 2, port);
  put16(datagram, 4, static_cast<unsigned>(8 + payload.size()));
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  return ip({.source = s.address, .destination = destination, .flags_offset = flags_offset},
            datagram);
}

constexpr std::string_view kInform = "350108 ff";
constexpr std::string_view kGateway = "10.64.0.1";
constexpr std::string_view kBroadcast = "255.255.255.255";

}  // namespace

TEST_CASE("dhcp: a DHCPINFORM goes to the control process", "[pipeline][rfc2131-4.4.3]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).gateway = Ipv4Address(address(kGateway));
  std::uint32_t sequence = 0;
  for (const std::string_view destination : {kBroadcast, kGateway}) {
    CAPTURE(destination);
    const Octets packet = udp(s, destination, 67, message(s, kInform));
    (void)world.counted();
    world.receive(kAccess, from_peer(s, sequence++, ppp("0021", concat({packet, pattern(3)}))));
    world.run();
    const auto out = world.control();
    REQUIRE(out.size() == 1);
    CHECK(hex(out[0].frame) == "0021" + hex(packet));
    CHECK(world.sent(kCore).empty());
    CHECK(world.sent(kAccess).empty());
  }
}

TEST_CASE("dhcp: nothing else is broadcast, and no other DHCP message is taken",
          "[pipeline][rfc2131-4.3.5]") {
  World world;
  const Subscriber s = world.add(2);
  world.record(s).gateway = Ipv4Address(address(kGateway));
  std::uint32_t sequence = 0;
  const auto reason = [&](const Octets& packet) {
    (void)world.counted();
    world.receive(kAccess, from_peer(s, sequence++, ppp("0021", packet)));
    world.run();
    CHECK(world.control().empty());
    CHECK(world.sent(kCore).empty());
    std::string name;
    for (const auto& [counter, count] : world.counted())
      if (counter.starts_with("drop ")) name = counter.substr(5);
    return name;
  };
  CHECK(reason(udp(s, kBroadcast, 67, message(s, "350101 ff"))) == "dhcp_refused");  // DISCOVER
  CHECK(reason(udp(s, kBroadcast, 67, message(s, kInform, "10.64.9.9"))) == "dhcp_refused");
  CHECK(reason(udp(s, kGateway, 67, octets("0108"))) == "dhcp_refused");
  CHECK(reason(udp(s, kBroadcast, 137, message(s, kInform))) == "inner_destination");
  CHECK(reason(udp(s, kBroadcast, 67, message(s, kInform), 0x2000)) == "inner_destination");
  CHECK(reason(udp(s, kGateway, 53, message(s, kInform))) == "inner_destination");
  CHECK(reason(ip({.source = s.address, .destination = kBroadcast, .protocol = 1},
                  octets("0800f7ff00000000"))) == "inner_destination");
  CHECK(reason(udp(s, "255.255.255.254", 67, message(s, kInform))) == "inner_destination");
}

TEST_CASE("dhcp: a flood of DHCPINFORM is policed", "[pipeline]") {
  World world;
  const Subscriber s = world.add(2);
  (void)world.counted();
  for (std::uint32_t n = 0; n < 150; ++n)
    world.receive(kAccess,
                  from_peer(s, n, ppp("0021", udp(s, kBroadcast, 67, message(s, kInform)))));
  world.run();
  CHECK(world.counted().at("drop punt_policed") >= 50);
}
