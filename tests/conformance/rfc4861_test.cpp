// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 4861 and RFC 8106, as far as a router on a PPP link goes: what Router Advertisements say and
// when they leave.
#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "pns/wire/icmpv6.hpp"
#include "pns/wire/router_advertisement.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;
using model::LinkPhase;

namespace {

struct Ipv6Pair : LinkPair {
  Ipv6Pair() {
    network.ipv6 = model::Ipv6Parameters{.prefix = Ipv6Prefix::parse("2001:db8:100:7::/64").value(),
                                         .dns = {Ipv6Address::parse("2001:db8::53").value(),
                                                 Ipv6Address::parse("2001:db8::54").value()}};
    client.ipv6cp_options = "010a 0211 22ff fe33 4455";
    start();
    REQUIRE(link.phase() == LinkPhase::kOpen);
  }
  std::size_t advertisements() const { return client.advertisements.size(); }
};

// From fe80::211:22ff:fe33:4455 to ff02::2, computed by hand with another implementation.
const Octets kSolicitation = octets(
    "6000 0000 0008 3aff fe80 0000 0000 0000 0211 22ff fe33 4455"
    "ff02 0000 0000 0000 0000 0000 0000 0002 8500 159e 0000 0000");

Octets as_frame(const Octets& packet) { return concat({octets("0057"), packet}); }

}  // namespace

TEST_CASE("rfc4861 §4.2: an Advertisement tells prefix, MTU, router and name servers",
          "[rfc4861-4.2][rfc8106-5.1]") {
  Ipv6Pair pair;
  REQUIRE(pair.advertisements() == 1);
  const std::string text = hex(pair.client.advertisements[0]);
  // Hop Limit 255, from fe80::1 to ff02::1.
  CHECK(
      text.starts_with("6000000000603aff"
                       "fe800000000000000000000000000001"
                       "ff020000000000000000000000000001"
                       "8600"));
  // Cur Hop Limit 64, no flags, lifetime 1,800 s, no timers of ours.
  CHECK(text.substr(88, 24) == "400007080000000000000000");
  // Prefix: /64, A without L, valid a day, preferred four hours.
  CHECK(text.substr(112, 64) == "0304404000015180000038400000000020010db8010000070000000000000000");
  // MTU: 1,400 less MPPE's 4.
  CHECK(text.substr(176, 16) == "0501000000000574");
  // Two name servers for 1,800 s.
  CHECK(text.substr(192) ==
        "1905000000000708"
        "20010db8000000000000000000000053"
        "20010db8000000000000000000000054");
}

TEST_CASE("rfc4861 §6.2.4: thrice at first, then at random intervals", "[rfc4861-6.2.4]") {
  Ipv6Pair pair;
  pair.advance(Seconds(15));
  CHECK(pair.advertisements() == 1);
  pair.advance(Seconds(18));
  CHECK(pair.advertisements() == 3);
  std::set<Duration> intervals;
  TimePoint last = pair.clock.now();
  for (std::size_t sent = 4; sent < 14; ++sent) {
    while (pair.advertisements() < sent) pair.advance(Seconds(1));
    const Duration interval = pair.clock.now() - last;
    last = pair.clock.now();
    // The first counts from the third, 1 s before; all are seen to the second.
    CHECK(interval >= Seconds(448));
    CHECK(interval <= Seconds(601));
    intervals.insert(interval);
  }
  CHECK(intervals.size() > 5);
}

TEST_CASE("rfc4861 §6.2.6: a Solicitation is answered, at most every three seconds",
          "[rfc4861-6.2.6]") {
  Ipv6Pair pair;
  pair.advance(Seconds(5));
  for (int i = 0; i < 50; ++i)
    pair.run(pair.link.on_frame(as_frame(kSolicitation), pair.clock.now()));
  CHECK(pair.advertisements() == 2);
  pair.advance(Seconds(3));
  CHECK(pair.advertisements() == 3);
}

TEST_CASE("rfc4861 §6.1.1: what is no valid Solicitation is not answered", "[rfc4861-6.1.1]") {
  Ipv6Pair pair;
  pair.advance(Seconds(5));
  const auto changed = [](std::size_t at, unsigned value) {
    Octets out = kSolicitation;
    out[at] = static_cast<std::byte>(value);
    return out;
  };
  Octets short_one = kSolicitation;
  short_one.resize(44);
  const std::vector<Octets> bad = {
      changed(7, 64),     // was forwarded
      changed(40, 134),   // an Advertisement
      changed(41, 1),     // code
      changed(42, 0xfe),  // checksum
      changed(6, 17),     // UDP
      changed(0, 0x40),   // version
      changed(5, 9),      // longer than the packet
      short_one,         {},
  };
  for (const Octets& packet : bad) pair.run(pair.link.on_frame(as_frame(packet), pair.clock.now()));
  CHECK(pair.advertisements() == 1);
  for (const Octets& packet : bad) CHECK_FALSE(wire::parse_router_solicitation(packet));
  CHECK(wire::parse_router_solicitation(kSolicitation) ==
        Ipv6Address::parse("fe80::211:22ff:fe33:4455"));
}

TEST_CASE("rfc4861 §6.1.1: an option is as long as it says, and no option is endless",
          "[rfc4861-6.1.1]") {
  // A Solicitation with one option of eight octets, its checksum right.
  const auto with_option = [](unsigned type, unsigned length, std::string_view source = {}) {
    Octets out = kSolicitation;
    out[5] = std::byte{16};
    out.resize(56);
    out[48] = static_cast<std::byte>(type);
    out[49] = static_cast<std::byte>(length);
    if (!source.empty()) std::ranges::copy(octets(source), out.begin() + 8);
    out[42] = out[43] = std::byte{0};
    const std::uint16_t sum = wire::upper_layer_checksum(out, 40, 58);
    out[42] = static_cast<std::byte>(sum >> 8);
    out[43] = static_cast<std::byte>(sum);
    return out;
  };
  CHECK(wire::parse_router_solicitation(with_option(1, 1)));
  CHECK(wire::parse_router_solicitation(with_option(200, 1)));  // unknown ones are passed over
  for (const unsigned length : {0u, 2u, 255u})
    CHECK_FALSE(wire::parse_router_solicitation(with_option(1, length)));
  // A peer without an address has no link address to tell either.
  constexpr std::string_view kUnspecified = "00000000000000000000000000000000";
  CHECK_FALSE(wire::parse_router_solicitation(with_option(1, 1, kUnspecified)));
  CHECK(wire::parse_router_solicitation(with_option(200, 1, kUnspecified)));
}

TEST_CASE("rfc4861: none leaves once the link or IPV6CP is down", "[rfc4861]") {
  Ipv6Pair pair;
  pair.run(pair.link.on_frame(frame(kIpv6cp, kTermReq, 0x50), pair.clock.now()));
  pair.advance(Seconds(1000));
  CHECK(pair.advertisements() == 1);
  pair.run(pair.link.on_frame(as_frame(kSolicitation), pair.clock.now()));
  CHECK(pair.advertisements() == 1);
}

TEST_CASE("rfc4861: they go on once encryption that started over is up again", "[rfc4861]") {
  Ipv6Pair pair;
  pair.advance(Seconds(100));
  const std::size_t before = pair.advertisements();
  pair.run(pair.link.on_frame(frame(kCcp, kConfReq, 0x99, "120601000040"), pair.clock.now()));
  REQUIRE(pair.link.phase() == LinkPhase::kOpen);
  CHECK(pair.advertisements() == before + 1);
  pair.advance(Seconds(5));
  pair.run(pair.link.on_frame(as_frame(kSolicitation), pair.clock.now()));
  CHECK(pair.advertisements() == before + 2);
  pair.advance(Seconds(1000));
  CHECK(pair.advertisements() > before + 2);
}
