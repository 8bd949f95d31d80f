// SPDX-License-Identifier: BSD-3-Clause
//
// RFC 2131, as far as a server goes that assigns no addresses by DHCP: DHCPINFORM and its answer.
#include <catch2/catch.hpp>

#include "tests/support/packets.hpp"
#include "tests/support/ppp_client.hpp"

using namespace pns;
using namespace pns::ppp;
using namespace pns::test;

namespace {

constexpr std::string_view kLease = "10.64.0.5";  // of LinkPair

Octets inform(std::string_view options, std::string_view source = kLease) {
  Octets message = octets("01080600 11223344 00000000");
  message.resize(28 + 16 + 192);
  put32(message, 12, address(source));
  const Octets datagram =
      concat({octets("0044 0043"), Octets(4), message, octets("63825363"), octets(options)});
  Octets whole = datagram;
  put16(whole, 4, static_cast<unsigned>(whole.size()));
  return concat({octets("0021"), ip({.source = source, .destination = "255.255.255.255"}, whole)});
}

struct Pair : LinkPair {
  explicit Pair(bool with_routes = true) : LinkPair(settings(with_routes)) { start(); }
  static LinkSettings settings(bool with_routes) {
    LinkSettings out;
    if (!with_routes) return out;
    out.inform.domain = "lab";
    out.inform.pools = {
        {.ranges = {{Ipv4Address(address("10.64.0.2")), Ipv4Address(address("10.64.0.9"))}},
         .routes = {{Ipv4Address(address("10.0.0.0")), 8}}}};
    out.inform.outside_routes = {{Ipv4Address(address("192.0.2.0")), 24}};
    return out;
  }
  // The IPv4 packet that comes back; empty: none.
  Octets ask(const Octets& frame) {
    actions.clear();
    for (const auto& action : link.on_frame(frame, clock.now()))
      if (const auto* send = std::get_if<model::SendFrame>(&action)) {
        CHECK(hex(send->frame).starts_with("ff030021"));
        return Octets(send->frame.begin() + 4, send->frame.end());
      }
    return {};
  }
};

// From the first option on.
std::string options_of(const Octets& packet) {
  REQUIRE(packet.size() > 28 + 240);
  return hex(Bytes(packet).subspan(28 + 240));
}

}  // namespace

TEST_CASE("rfc2131 §4.3.5: DHCPINFORM is answered to ciaddr, without an address of its own",
          "[rfc2131-4.3.5]") {
  Pair pair;
  REQUIRE(pair.link.phase() == model::LinkPhase::kOpen);
  const Octets answer = pair.ask(inform("350108 3703 79060f ff"));
  REQUIRE_FALSE(answer.empty());
  CHECK(get32(answer, 12) == address("10.64.0.1"));
  CHECK(get32(answer, 16) == address(kLease));
  CHECK(get16(answer, 20) == 67);
  CHECK(get16(answer, 22) == 68);
  CHECK(hex(Bytes(answer).subspan(28, 28)) ==
        "0208060011223344000000000a400005000000000000000000000000");
  CHECK(
      options_of(answer).starts_with("350105"
                                     "36040a400001"
                                     "7906080a0a400001"
                                     "06040a000035"
                                     "0f036c6162"
                                     "ff"));
}

TEST_CASE("rfc2131 §4.3.5: without routes and domain there are still name servers",
          "[rfc2131-4.3.5]") {
  Pair pair(false);
  CHECK(options_of(pair.ask(inform("350108 3703 79060f ff")))
            .starts_with("350105"
                         "36040a400001"
                         "06040a000035"
                         "ff"));
}

TEST_CASE("rfc2131 §4.3.5: routes are those of the pool that the address belongs to",
          "[rfc2131-4.3.5][rfc3442]") {
  const LinkSettings settings = Pair::settings(true);
  CHECK(settings.inform.routes_of(Ipv4Address(address("10.64.0.9"))).front().length == 8);
  CHECK(settings.inform.routes_of(Ipv4Address(address("10.64.0.10"))).front().length == 24);
}

TEST_CASE("rfc2131: a question for another address, and every other message, has no answer",
          "[rfc2131-4.3.5]") {
  Pair pair;
  CHECK(pair.ask(inform("350108 ff", "10.64.0.6")).empty());
  CHECK(pair.ask(inform("350101 ff")).empty());
  CHECK(pair.ask(inform("350103 ff")).empty());
  CHECK_FALSE(pair.ask(inform("350108 ff")).empty());
}
