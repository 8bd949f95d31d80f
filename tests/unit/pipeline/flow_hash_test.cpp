// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/pipeline/flow_hash.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>

#include "tests/support/packets.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::dataplane;

namespace {

Octets with_ports(unsigned source, unsigned destination) {
  Octets segment = pattern(20);
  put16(segment, 0, source);
  put16(segment, 2, destination);
  return segment;
}
Octets four(unsigned protocol, const Octets& payload, unsigned flags_offset = 0,
            std::string_view source = "10.64.0.2", std::string_view destination = "192.0.2.7") {
  return ip({.source = source,
             .destination = destination,
             .protocol = protocol,
             .flags_offset = flags_offset},
            payload);
}

// Flows of 64,000 by bucket: each of the 64 gets 1,000, give or take.
template <class Flow>
void check_even(Flow flow_of) {
  std::array<unsigned, 64> buckets{};
  for (std::uint32_t n = 0; n < 64'000; ++n) ++buckets[flow_of(n) >> 26];
  CHECK(*std::ranges::min_element(buckets) > 800);
  CHECK(*std::ranges::max_element(buckets) < 1'200);
}

}  // namespace

TEST_CASE("flow hash: addresses, protocol and ports make the flow, and nothing else",
          "[pipeline]") {
  const std::uint32_t flow = flow_of_ipv4(four(6, with_ports(1000, 80)));
  Octets other_data = with_ports(1000, 80);
  other_data.resize(60);
  CHECK(flow_of_ipv4(four(6, other_data)) == flow);
  CHECK(flow_of_ipv4(four(6, with_ports(1001, 80))) != flow);
  CHECK(flow_of_ipv4(four(6, with_ports(1000, 81))) != flow);
  CHECK(flow_of_ipv4(four(17, with_ports(1000, 80))) != flow);
  CHECK(flow_of_ipv4(four(6, with_ports(1000, 80), 0, "10.64.0.3")) != flow);
  CHECK(flow_of_ipv4(four(6, with_ports(1000, 80), 0, "10.64.0.2", "192.0.2.8")) != flow);
  // No ports: the same flow whatever the payload.
  for (const unsigned protocol : {1U, 47U, 50U})
    CHECK(flow_of_ipv4(four(protocol, with_ports(1, 2))) ==
          flow_of_ipv4(four(protocol, with_ports(3, 4))));
}

TEST_CASE("flow hash: fragments of a packet are one flow", "[pipeline]") {
  const std::uint32_t first = flow_of_ipv4(four(17, with_ports(1000, 53), 0x2000));
  CHECK(flow_of_ipv4(four(17, with_ports(7, 8), 0x2005)) == first);
  CHECK(flow_of_ipv4(four(17, with_ports(9, 9), 0x0009)) == first);
}

TEST_CASE("flow hash: a packet that ends before its ports", "[pipeline]") {
  for (std::size_t length = 0; length < 4; ++length) {
    (void)flow_of_ipv4(four(6, pattern(length)));
    (void)flow_of_ipv6(
        ip6({.source = "2001:db8::1", .destination = "2001:db8::2", .next_header = 6},
            pattern(length)));
  }
  CHECK(flow_of_ipv4(four(6, pattern(3))) == flow_of_ipv4(four(6, {})));
}

TEST_CASE("flow hash: ipv6", "[pipeline]") {
  const auto six = [](unsigned next_header, unsigned port,
                      std::string_view source = "2001:db8::1") {
    return flow_of_ipv6(
        ip6({.source = source, .destination = "2001:db8::2", .next_header = next_header},
            with_ports(port, 80)));
  };
  CHECK(six(6, 1000) == six(6, 1000));
  CHECK(six(6, 1000) != six(6, 1001));
  CHECK(six(6, 1000) != six(17, 1000));
  CHECK(six(6, 1000) != six(6, 1000, "2001:db8::3"));
  CHECK(six(44, 1000) == six(44, 1001));  // a fragment header
}

TEST_CASE("flow hash: flows spread evenly, whatever makes them differ", "[pipeline]") {
  check_even(
      [](std::uint32_t n) { return flow_of_ipv4(four(6, with_ports(1024 + n % 60'000, n))); });
  check_even([](std::uint32_t n) {
    Octets packet = four(17, with_ports(53, 53));
    put32(packet, 12, 0x0a400000 + n);  // source; the checksum does not count
    return flow_of_ipv4(packet);
  });
  check_even([](std::uint32_t n) {
    Octets packet = four(17, with_ports(53, 53));
    put32(packet, 16, 0xc0000000 + n * 256);
    return flow_of_ipv4(packet);
  });
  contract::SessionRecord session;
  check_even([&](std::uint32_t n) {
    session.local = Ipv4Address(0xc6336401);
    session.peer = Ipv4Address(0xcb007100 + n);
    return flow_of_gre(session);
  });
  check_even([&](std::uint32_t n) {
    session.peer = Ipv4Address(0xcb007107);
    session.peer_call_id = PeerCallId(static_cast<std::uint16_t>(n));
    return flow_of_gre(session);
  });
}
