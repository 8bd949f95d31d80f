// SPDX-License-Identifier: BSD-3-Clause
#include "pns/wire/arp.hpp"

#include <catch2/catch.hpp>

#include "tests/support/octets.hpp"

using namespace pns;
using namespace pns::test;
using namespace pns::wire;

namespace {

constexpr std::string_view kRequest =
    "0001 0800 06 04 0001 020000000009 0a000035 000000000000 0a0000c8";
constexpr MacAddress kMac = {2, 0, 0, 0, 0, 1};

}  // namespace

TEST_CASE("arp: a request is read, and answered with who has the target", "[wire][rfc826]") {
  const auto request = parse_arp_request(octets(kRequest));
  REQUIRE(request);
  CHECK(request->sender_mac == MacAddress{2, 0, 0, 0, 0, 9});
  CHECK(request->sender.to_string() == "10.0.0.53");
  CHECK(request->target.to_string() == "10.0.0.200");
  Octets reply(kArpSize);
  REQUIRE(write_arp_reply(reply, *request, kMac) == kArpSize);
  CHECK(hex(reply) ==
        hex(octets("0001 0800 06 04 0002 020000000001 0a0000c8 020000000009 0a000035")));
  Octets announcement(kArpSize);
  REQUIRE(write_arp_announcement(announcement, request->target, kMac) == kArpSize);
  CHECK(hex(announcement) ==
        hex(octets("0001 0800 06 04 0001 020000000001 0a0000c8 000000000000 0a0000c8")));
  // Nobody answers an announcement.
  CHECK_FALSE(parse_arp_request(announcement));
  CHECK_FALSE(parse_arp_request(reply));
  Octets small(kArpSize - 1);
  CHECK(write_arp_reply(small, *request, kMac) == 0);
  CHECK(write_arp_announcement(small, request->target, kMac) == 0);
}

TEST_CASE("arp: a probe has no sender and is a request", "[wire][rfc5227-2.1.1]") {
  const auto probe =
      parse_arp_request(octets("0001 0800 06 04 0001 020000000009 00000000 000000000000 0a0000c8"));
  REQUIRE(probe);
  CHECK(probe->sender.is_unspecified());
}

TEST_CASE("arp: what is malformed is no request", "[wire][rfc826]") {
  const Octets good = octets(kRequest);
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK_FALSE(parse_arp_request(Bytes(good).first(length)));
  for (const char* bad : {"0002 0800 06 04 0001 020000000009 0a000035 000000000000 0a0000c8",
                          "0001 86dd 06 04 0001 020000000009 0a000035 000000000000 0a0000c8",
                          "0001 0800 08 04 0001 020000000009 0a000035 000000000000 0a0000c8",
                          "0001 0800 06 10 0001 020000000009 0a000035 000000000000 0a0000c8",
                          "0001 0800 06 04 0003 020000000009 0a000035 000000000000 0a0000c8",
                          "0001 0800 06 04 0001 030000000009 0a000035 000000000000 0a0000c8",
                          "0001 0800 06 04 0001 000000000000 0a000035 000000000000 0a0000c8"})
    CHECK_FALSE(parse_arp_request(octets(bad)));
}
